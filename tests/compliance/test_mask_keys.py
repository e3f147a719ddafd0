"""Keys of markers: one a quarter, private, kept; equal secrets are equal under one key, and only then."""

from __future__ import annotations

import datetime
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compliance.codec import from_json, to_json
from compliance.errors import AuditError
from compliance.events import Decided, LookedUp
from compliance.mask_keys import MOST_KEPT, NAME, current_key, read_keys, rotate
from compliance.redact import Redactor
from execpolicy.decision import Decision, Verdict

MAY = datetime.date(2026, 5, 2)
JULY = datetime.date(2026, 7, 1)


def test_a_quarter_has_one_key_and_the_old_ones_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    first = current_key(folder, MAY)
    assert current_key(folder, datetime.date(2026, 6, 30)) == first
    second = current_key(folder, JULY)
    third = rotate(folder, JULY)
    assert current_key(folder, JULY) == third
    assert read_keys(folder) == [first, second, third]
    assert [key.id[:7] for key in (first, second, third)] == ["2026q2-", "2026q3-", "2026q3-"]
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoil", ["open", "link", "broken", "folder", "pipe"])
def test_a_key_that_cannot_be_trusted_is_not_used(tmp_path: Path, spoil: str) -> None:
    path = tmp_path / NAME
    match spoil:
        case "open":
            current_key(tmp_path, MAY)
            path.chmod(0o644)
        case "link":
            (tmp_path / "other").write_text("")
            path.symlink_to(tmp_path / "other")
        case "broken":
            path.write_text("2026q2-aa 00\n")
            path.chmod(0o600)
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path, 0o600)
    with pytest.raises(AuditError) as caught:
        current_key(tmp_path, MAY)
    assert caught.value.help


MAKE = """
import datetime, sys
from pathlib import Path
from compliance.mask_keys import current_key
sys.stdin.read(1)
print(current_key(Path(sys.argv[1]), datetime.date(2026, 5, 2)).id)
"""


def test_several_that_need_the_first_key_get_one(tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE, str(tmp_path / "audit")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for one in running:  # all are ready before the first goes on
        assert one.stdin
        one.stdin.write("x")
        one.stdin.flush()
    told = {one.communicate(timeout=30)[0] for one in running}
    (key,) = read_keys(tmp_path / "audit")
    assert told == {f"{key.id}\n"}


def test_what_was_not_there_a_moment_ago_is_looked_for_again_under_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = current_key(tmp_path, MAY)
    monkeypatch.setattr("compliance.mask_keys.read_keys", lambda folder: [])
    assert current_key(tmp_path, MAY) == first


def test_a_lost_key_is_replaced_by_another(tmp_path: Path) -> None:
    first = current_key(tmp_path, MAY)
    (tmp_path / NAME).unlink()
    second = current_key(tmp_path, MAY)
    assert second.id != first.id
    assert second.digest("a") != first.digest("a")
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_half_a_key_is_taken_off(tmp_path: Path) -> None:
    first = current_key(tmp_path, MAY)
    with (tmp_path / NAME).open("ab") as file:
        file.write(b"2026q2-12ab")
    assert current_key(tmp_path, MAY) == first
    second = rotate(tmp_path, MAY)
    assert read_keys(tmp_path) == [first, second]


def test_a_nervous_hand_leaves_the_newest(tmp_path: Path) -> None:
    secret = "00" * 32
    (tmp_path / NAME).write_text("".join(f"2026q2-{at:08x} {secret}\n" for at in range(MOST_KEPT + 50)))
    (tmp_path / NAME).chmod(0o600)
    made = rotate(tmp_path, MAY)
    keys = read_keys(tmp_path)
    assert (len(keys), keys[-1]) == (MOST_KEPT, made)
    assert current_key(tmp_path, MAY) == made


def test_a_held_key_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compliance.mask_keys.LOCK_SECONDS", 0.05)
    current_key(tmp_path, MAY)
    with (tmp_path / NAME).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AuditError, match="held by another process"):
            rotate(tmp_path, MAY)


def test_a_record_names_the_key_and_keeps_masked_commands_comparable(tmp_path: Path) -> None:
    key = current_key(tmp_path, MAY)

    def recorded(subject: str) -> Decided:
        event = Decided("s", "c", "exec_command", subject, "/", Verdict(decision=Decision.ASK))
        clean = Redactor(key=key).event(event)
        assert from_json(to_json(clean)) == clean
        assert isinstance(clean, Decided)
        return clean

    one, same, other = map(recorded, ("a --token hunter2x", "a --token hunter2x", "a --token hunter3x"))
    assert one == same
    assert (one.masked, one.mask_key) == (("/subject",), key.id)
    assert one.args_hmac == key.digest("a --token hunter2x") != other.args_hmac
    assert one.subject != other.subject
    assert recorded("ls").args_hmac == recorded("ls").mask_key == ""


def test_a_secret_variable_that_was_looked_up_is_masked() -> None:
    looked = (LookedUp("env", "DEPLOY_TOKEN", "", "abcabc"), LookedUp("env", "HOME", "", "/home/ann"))
    event = Decided("s", "c", "t", "ls", "/", Verdict(decision=Decision.ASK), lookups=looked)
    clean = Redactor().event(event)
    assert isinstance(clean, Decided)
    assert [one.answer for one in clean.lookups] == ["[masked:value]", "/home/ann"]
    assert clean.masked == ("/lookups/0/answer",)
