"""A cache that somebody else could have made is not read, and none makes a start hang or a rule disappear."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from execpolicy.bundle import cache
from execpolicy.bundle.load import PolicySource, load_policy
from execpolicy.decision import Decision, Layer
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext

CONTEXT = CheckContext(cwd="/w", workspace="/w")


class Place:
    """A rule file that denies, its compiled form, and another's that allows."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "cache"
        self.rules = root / "deny.rules"
        self.rules.write_text('prefix_rule(pattern=["zz"], decision="deny")\n', encoding="utf-8")
        other = root / "allow.rules"
        other.write_text('prefix_rule(pattern=["zz"], decision="allow")\n', encoding="utf-8")
        assert self.decision() is Decision.DENY
        (self.file,) = self.folder.iterdir()
        self.good = self.file.read_bytes()
        load_policy([PolicySource(other, Layer.USER)], cache_dir=self.folder)
        (self.foreign,) = (one.read_bytes() for one in self.folder.iterdir() if one != self.file)

    @property
    def key(self) -> str:
        return self.file.name.removesuffix(cache.ENDING)

    def decision(self) -> Decision:
        policy = load_policy([PolicySource(self.rules, Layer.USER)], cache_dir=self.folder).policy
        return check("zz", policy, CONTEXT).decision


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "empty", "zeros", "longer", "other rules"])
def test_builds_again_what_is_damaged(place: Place, damage: str) -> None:
    data = {
        "cut": place.good[: len(place.good) // 2],
        "empty": b"",
        "zeros": bytes(len(place.good)),
        "longer": place.good + b"x",
        "other rules": place.foreign,
    }[damage]
    place.file.write_bytes(data)
    assert cache.read(place.folder, place.key) is None
    assert place.decision() is Decision.DENY
    assert place.file.read_bytes() == place.good


def test_trusts_no_flipped_bit(place: Place) -> None:
    chance = random.Random(7)
    for _ in range(100):
        data = bytearray(place.good)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        place.file.write_bytes(bytes(data))
        assert place.decision() is Decision.DENY


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
def test_reads_no_folder_that_others_can_write(place: Place, mode: int) -> None:
    place.folder.chmod(mode)
    assert cache.read(place.folder, place.key) is None
    assert place.decision() is Decision.DENY


def test_reads_no_file_that_others_can_write(place: Place) -> None:
    place.file.chmod(0o666)
    assert cache.read(place.folder, place.key) is None


def test_follows_no_link(place: Place, tmp_path: Path) -> None:
    moved = place.folder.rename(tmp_path / "moved")
    place.folder.symlink_to(moved)
    assert cache.read(place.folder, place.key) is None
    place.folder.unlink()
    moved.rename(place.folder)
    place.file.rename(tmp_path / "file")
    place.file.symlink_to(tmp_path / "file")
    assert cache.read(place.folder, place.key) is None


def test_does_not_wait_for_a_pipe(place: Place) -> None:
    place.file.unlink()
    os.mkfifo(place.file)
    signal.alarm(5)
    try:
        assert place.decision() is Decision.DENY
    finally:
        signal.alarm(0)
