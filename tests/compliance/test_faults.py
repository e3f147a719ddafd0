"""Whatever fails, whenever: what was acknowledged is there, what was not is told, and the chain holds."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.errors import AuditError
from compliance.events import Decided, Gap, GapKind, Outcome, Ran, Refused
from compliance.log import LOOK_EVERY, AuditLog, Effort
from compliance.query import Entry, Filter, entries
from compliance.segments import snapshot, verify
from execpolicy.decision import Decision, Verdict

CALLS = ("write", "pwrite", "pread", "fstat", "stat", "ftruncate", "open", "fsync", "lock", "datasync")
ERRORS = (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EDQUOT, errno.EROFS, errno.EMFILE)


def recorded(folder: Path) -> list[Any]:
    return [entry for entry in entries(snapshot(folder), Filter()) if isinstance(entry, Entry)]


class Failing:
    """`os` whose calls fail when the plan says so; a failing write may have written half."""

    def __init__(self, plan: dict[tuple[str, int], int]) -> None:
        self.plan = plan
        self.counts = dict.fromkeys(CALLS, 0)
        self.on = False

    def due(self, name: str) -> int:
        if not self.on:
            return 0
        self.counts[name] += 1
        return self.plan.get((name, self.counts[name]), 0)

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            if code := self.due(name):
                if name in ("write", "pwrite") and code == errno.ENOSPC:
                    half = memoryview(args[1])[: len(args[1]) // 2]
                    return real(args[0], half, *args[2:])
                raise OSError(code, os.strerror(code))
            return real(*args, **named)

        return call

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self.wrap(name, real) if name in CALLS else real


faults = st.dictionaries(
    st.tuples(st.sampled_from(CALLS), st.integers(1, 25)), st.sampled_from(ERRORS), max_size=6
)


@settings(max_examples=120, deadline=None)
@given(faults, st.sampled_from(Effort), st.integers(300, 3000))
def test_any_fault_leaves_a_whole_chain_and_is_told(
    plan: dict[tuple[str, int], int], effort: Effort, segment_bytes: int
) -> None:
    import fcntl

    failing = Failing(plan)
    lock = SimpleNamespace(
        flock=failing.wrap("lock", fcntl.flock),
        LOCK_EX=fcntl.LOCK_EX,
        LOCK_NB=fcntl.LOCK_NB,
        LOCK_UN=fcntl.LOCK_UN,
    )
    acknowledged: dict[str, int] = {}
    refused = 0
    with (
        tempfile.TemporaryDirectory() as name,
        patch("compliance.log.os", failing),
        patch("compliance.log.fcntl", lock),
        patch("compliance.log._datasync", failing.wrap("datasync", os.fsync)),
    ):
        folder = Path(name) / "audit"
        log = AuditLog(folder, effort=effort, segment_bytes=segment_bytes, lock_seconds=0)
        failing.on = True
        for number in range(14):
            call = f"c{number}"
            event = (
                Refused("s", call, "no") if number % 2 else Ran("s", call, 0, Outcome.COMPLETED, 0, "", 0, "")
            )
            try:
                seq = log.record(event)
            except AuditError:
                seq = 0
            if seq:
                acknowledged[call] = seq
            else:
                refused += 1
        failing.on = False
        last = log.record(Refused("s", "last", "no"))
        log.close()
        result = verify(snapshot(folder))
        assert result.flaws == ()
        assert result.end.seq == last
        found = {
            entry.event.call: entry.record.seq for entry in recorded(folder) if hasattr(entry.event, "call")
        }
        assert found.items() >= acknowledged.items()
        told = [entry.event.count for entry in recorded(folder) if isinstance(entry.event, Gap)]
        assert sum(told) >= refused  # told twice, where the first telling could not be taken back


WRITER = """
import sys
from pathlib import Path
from compliance.events import Decided, Refused
from compliance.log import AuditLog
from execpolicy.decision import Decision, Verdict
log = AuditLog(Path(sys.argv[1]), segment_bytes=20_000)
for number in range(int(sys.argv[3])):
    decision = Decision(number % 3)
    event = Decided(sys.argv[2], str(number), "t", "x" * (number % 900), "/", Verdict(decision=decision))
    print(log.record(event), flush=True)
log.close()
"""


def test_eight_writers_of_which_some_are_killed_write_one_chain(tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                WRITER,
                str(tmp_path / "audit"),
                f"w{number}",
                "100000" if number < 3 else "60",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    said: list[list[str]] = []
    for number, child in enumerate(children):
        assert child.stdout
        if number < 3:
            for _ in range(20):
                child.stdout.readline()
            os.kill(child.pid, signal.SIGKILL)
        said.append(child.stdout.read().split())
        child.wait()
    AuditLog(tmp_path / "audit").record(Refused("s", "c", "no"))
    result = verify(snapshot(tmp_path / "audit"))
    assert result.flaws == ()
    acknowledged = {int(word) for words in said for word in words[:-1]}
    known = {entry.record.seq: entry.event.session for entry in recorded(tmp_path / "audit")}
    assert acknowledged <= known.keys()
    finished = [session for session in known.values() if session in {f"w{number}" for number in range(3, 8)}]
    assert len(finished) == 5 * 60


def test_a_frozen_writer_holds_nobody_up_for_long(tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=hold, args=(tmp_path,))
    log = AuditLog(tmp_path, lock_seconds=0.2)
    child.start()
    while not (tmp_path / "held").exists():
        pass
    with pytest.raises(AuditError, match="held by another process"):
        log.record(Refused("s", "c", "no"))
    child.kill()
    child.join()
    assert log.record(Refused("s", "c", "no")) == 2
    log.close()


def hold(folder: Path) -> None:
    import fcntl

    with (folder / "head").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        (folder / "held").touch()
        signal.pause()


FULL = """
import os, sys
from pathlib import Path
from compliance.errors import AuditError
from compliance.events import Gap, Refused
from compliance.log import AuditLog
from compliance.query import Filter, entries
from compliance.segments import snapshot, verify
folder = Path(sys.argv[1])
log = AuditLog(folder / "audit")
(folder / "ballast").write_bytes(b"x" * 30_000)
done = refused = 0
while refused < 3:
    try:
        done = log.record(Refused("s", "c", "x" * 700))
    except AuditError as error:
        refused += 1
        assert "free some space" in error.help, (str(error), error.help)
(folder / "ballast").unlink()
again = log.record(Refused("s", "again", "no"))
log.close()
shot = snapshot(folder / "audit")
found = verify(shot)
counts = [entry.event.count for entry in entries(shot, Filter()) if isinstance(entry.event, Gap)]
print(found.flaws, found.gaps, found.records == again and sum(counts) == 3)
"""
READ_ONLY = """
import subprocess, sys
from pathlib import Path
from compliance.errors import AuditError
from compliance.events import Refused
from compliance.log import AuditLog, Effort
folder = Path(sys.argv[1])
log = AuditLog(folder / "audit")
log.record(Refused("s", "c", "no"))
log.close()
subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
try:
    AuditLog(folder / "audit")
except AuditError as error:
    print(error, "|", error.help)
log = AuditLog(folder / "audit", effort=Effort.BEST)
print(log.record(Refused("s", "c", "no")), log.trouble)
"""


def on_small_disk(script: str, folder: Path) -> str:
    """What `script` prints with a disk of 64 KiB at `folder`, in a namespace of its own."""
    if not (shutil.which("unshare") and shutil.which("mount")):
        pytest.skip("needs unshare and mount")
    mounting = 'mount -t tmpfs -o size=64k none "$1" || exit 77; exec "$2" -c "$3" "$1"'
    as_root = [] if os.geteuid() == 0 else ["-r"]
    ran = subprocess.run(
        ["unshare", "-m", *as_root, "sh", "-c", mounting, "sh", str(folder), sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode == 77 or ran.stderr.startswith("unshare"):
        pytest.skip("may not mount here")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_disk_that_is_really_full_refuses_and_is_told_when_there_is_room_again(tmp_path: Path) -> None:
    out = on_small_disk(FULL, tmp_path)
    assert out.startswith("() (")
    assert "No space left on device" in out
    assert out.endswith("True\n")


def test_a_read_only_disk_is_said_at_once(tmp_path: Path) -> None:
    first, second = on_small_disk(READ_ONLY, tmp_path).splitlines()
    assert "read-only file system" in first
    assert "make it writable" in first
    assert second.startswith("0 ")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    found = AuditLog(tmp_path / "audit")
    found.record(Refused("s", "first", "no"))
    yield found
    found.close()


def to_elsewhere(folder: Path) -> None:
    """The folder is moved away, and a link to another log stands in its place."""
    AuditLog(folder.parent / "other").record(Refused("s", "other", "no"))
    folder.rename(folder.parent / "moved")
    folder.symlink_to(folder.parent / "other")


def to_file(folder: Path) -> None:
    folder.rename(folder.parent / "moved")
    folder.write_text("")


def away(folder: Path) -> None:
    folder.rename(folder.parent / "moved")


@pytest.mark.parametrize("change", [to_elsewhere, to_file, away, shutil.rmtree])
def test_a_folder_that_is_not_the_one_that_was_opened_refuses(
    tmp_path: Path, log: AuditLog, change: Callable[[Path], object]
) -> None:
    change(tmp_path / "audit")
    with pytest.raises(AuditError):
        log.record(Refused("s", "c", "no"))
    allow = Decided("s", "c", "t", "x", "/", Verdict(decision=Decision.ALLOW))
    refused = 0
    for _ in range(LOOK_EVERY):  # what is not synced is looked after now and then
        try:
            log.record(allow)
        except AuditError:
            refused += 1
    assert refused


def test_with_best_effort_a_removed_log_is_begun_anew_and_told(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit", effort=Effort.BEST)
    log.record(Refused("s", "a", "no"))
    shutil.rmtree(tmp_path / "audit")
    assert log.record(Refused("s", "b", "no")) == 0
    assert "removed or replaced" in log.trouble
    assert log.record(Refused("s", "c", "no")) == 2
    log.close()
    gap = recorded(tmp_path / "audit")[0].event
    assert (gap.kind, gap.count) == (GapKind.UNWRITTEN, 1)
    assert "removed or replaced" in gap.reason


def test_with_best_effort_a_log_that_cannot_be_opened_is_opened_later(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("in the way")
    with pytest.raises(AuditError):
        AuditLog(tmp_path / "audit")
    log = AuditLog(tmp_path / "audit", effort=Effort.BEST)
    assert log.trouble
    assert log.record(Refused("s", "a", "no")) == 0
    (tmp_path / "audit").unlink()
    assert log.record(Refused("s", "b", "no")) == 2
    log.close()
    assert [type(entry.event) for entry in recorded(tmp_path / "audit")] == [Gap, Refused]
    assert verify(snapshot(tmp_path / "audit")).intact
