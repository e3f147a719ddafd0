"""What is acknowledged is there, in one chain, whoever writes, crashes, or runs out of disk."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from compliance.chain import FlawKind, Verification
from compliance.errors import AuditError, RecordError
from compliance.events import Approved, Decided, Gap, Outcome, Ran, Refused, Reply, SessionEnded
from compliance.log import QUOTA_RESERVE, AuditLog, Effort, must_be_durable
from compliance.query import Entry, Filter, entries
from compliance.segments import modes_open_to_others, snapshot, verify
from execpolicy.decision import Decision, Verdict


def refused(number: int = 0) -> Refused:
    return Refused("s", f"c{number}", "no")


def check(folder: Path) -> Verification:
    return verify(snapshot(folder))


def fill(folder: Path, count: int, **options: int) -> None:
    log = AuditLog(folder, **options)
    for number in range(count):
        log.record(Ran("s", f"c{number}", 0, Outcome.COMPLETED, 0.5, "0" * 64, 1, "none"))
    log.close()


def records(folder: Path) -> list[dict[str, object]]:
    found = []
    for path in sorted(folder.glob("records-*.jsonl")):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


def last_segment(folder: Path) -> Path:
    return max(folder.glob("records-*.jsonl"))


def test_records_are_numbered_linked_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "audit"
    log = AuditLog(folder)
    assert [log.record(refused()), log.record(refused())] == [1, 2]
    log.close()
    log.close()
    again = AuditLog(folder)
    assert again.record(refused()) == 3
    again.close()
    result = check(folder)
    assert (result.records, result.flaws, result.gaps, result.behind) == (3, (), (), 0)
    assert modes_open_to_others(snapshot(folder)) == []
    assert (folder.stat().st_mode & 0o777, (folder / "head").stat().st_mode & 0o777) == (0o700, 0o600)


def test_segments_are_changed_when_full(tmp_path: Path) -> None:
    fill(tmp_path, 20, segment_bytes=1000)
    fill(tmp_path, 5, segment_bytes=1000)
    assert len(list(tmp_path.glob("records-*.jsonl"))) > 5
    assert (check(tmp_path).records, check(tmp_path).flaws) == (25, ())


def writer(folder: Path, name: str, count: int) -> None:
    log = AuditLog(folder, segment_bytes=20_000)
    for number in range(count):
        log.record(Refused(name, str(number), "no") if number % 10 == 0 else SessionEnded(name, str(number)))
    log.close()


def test_many_processes_and_threads_write_one_chain(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=writer, args=(tmp_path, f"p{number}", 60)) for number in range(3)]
    log = AuditLog(tmp_path)
    threads = [threading.Thread(target=lambda: [log.record(refused()) for _ in range(30)]) for _ in range(3)]
    for one in [*others, *threads]:
        one.start()
    for one in [*others, *threads]:
        one.join()
    log.close()
    assert (check(tmp_path).records, check(tmp_path).flaws) == (270, ())
    mine = [record["event"]["call"] for record in records(tmp_path) if record["event"]["session"] == "s"]  # type: ignore[index]
    assert len(mine) == 90


CRASHER = """
import sys
from pathlib import Path
from compliance.events import Refused, SessionStarted
from compliance.log import AuditLog
log = AuditLog(Path(sys.argv[1]), segment_bytes=30_000)
for number in range(1_000_000):
    print(log.record(Refused("s", str(number), "x" * (number % 3000))), flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_was_told_is_written(tmp_path: Path) -> None:
    acknowledged = 0
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CRASHER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout
        for _ in range(25):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        said = child.stdout.read().splitlines()
        child.wait()
        acknowledged = max([acknowledged, *(int(word) for word in said if word.isdecimal())])
        result = check(tmp_path)
        assert result.flaws == ()
        assert result.end.seq >= acknowledged
    AuditLog(tmp_path).record(refused())
    assert check(tmp_path).intact


def test_half_a_line_is_put_aside_and_told(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    with last_segment(tmp_path).open("ab") as file:
        file.write(b'{"digest":"0123')
    fill(tmp_path, 1)
    result = check(tmp_path)
    assert (result.records, result.flaws, len(result.gaps)) == (5, (), 1)
    gap = records(tmp_path)[3]["event"]
    assert isinstance(gap, dict)
    assert (gap["gap"], (tmp_path / gap["kept"]).read_bytes()) == ("torn", b'{"digest":"0123')


def test_a_whole_record_that_the_head_did_not_know_is_taken_up(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    head = (tmp_path / "head").read_bytes()
    fill(tmp_path, 2)
    (tmp_path / "head").write_bytes(head)
    assert check(tmp_path).behind == 2
    fill(tmp_path, 1)
    assert (check(tmp_path).records, check(tmp_path).flaws, check(tmp_path).gaps) == (6, (), ())


def kinds(folder: Path) -> set[FlawKind]:
    return {flaw.kind for flaw in check(folder).flaws}


def test_a_cut_tail_is_found_and_going_on_does_not_hide_it(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    path = last_segment(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    assert kinds(tmp_path) == {FlawKind.CUT}
    fill(tmp_path, 2)
    result = check(tmp_path)
    assert (FlawKind.CUT, 4) in [(flaw.kind, flaw.seq) for flaw in result.flaws]
    assert result.end.seq == 8


def test_a_removed_segment_is_found_and_going_on_does_not_hide_it(tmp_path: Path) -> None:
    fill(tmp_path, 20, segment_bytes=1000)
    last_segment(tmp_path).unlink()
    assert kinds(tmp_path) == {FlawKind.CUT}
    fill(tmp_path, 1)
    assert FlawKind.CUT in kinds(tmp_path)
    min(tmp_path.glob("records-*.jsonl")).unlink()
    assert FlawKind.DROPPED in kinds(tmp_path)


@pytest.mark.parametrize("data", [None, b"", b"junk", b"x" * 512])
def test_a_lost_head_is_found_and_going_on_does_not_hide_it(tmp_path: Path, data: bytes | None) -> None:
    fill(tmp_path, 3)
    head = tmp_path / "head"
    head.unlink() if data is None else head.write_bytes(data)
    assert kinds(tmp_path) == {FlawKind.HEAD}
    fill(tmp_path, 2)
    result = check(tmp_path)
    assert (kinds(tmp_path), result.end.seq, result.records) == ({FlawKind.HEAD}, 6, 6)


def test_lines_put_in_by_hand_are_left_for_verify(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    with last_segment(tmp_path).open("ab") as file:
        file.write(b'{"note":"by hand"}\n')
    fill(tmp_path, 2)
    assert [(flaw.kind, flaw.line) for flaw in check(tmp_path).flaws] == [(FlawKind.INSERTED, 3)]


def test_a_log_removed_while_in_use_refuses(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    log = AuditLog(folder)
    log.record(refused())
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(AuditError, match="removed or replaced while it was in use"):
        log.record(refused())
    log.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_refuses_then_says_what_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(tmp_path)
    log.record(refused(1))
    real = os.write

    def full(fd: int, data: bytes) -> int:
        real(fd, data[:10])
        with Path("/dev/full").open("wb", buffering=0) as device:
            return device.write(b"x")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for number in (2, 3):
            with pytest.raises(AuditError) as caught:
                log.record(refused(number))
            assert "no space left" in str(caught.value)
            assert "free some space" in caught.value.help
    log.record(refused(4))
    log.close()
    result = check(tmp_path)
    assert (result.records, result.flaws) == (3, ())
    assert result.gaps == ("record 2: could not be written: No space left on device",)
    assert records(tmp_path)[1]["event"]["count"] == 2  # type: ignore[index]


LIMITED = """
import resource, signal, sys
from pathlib import Path
from compliance.errors import AuditError
from compliance.events import Refused
from compliance.log import AuditLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = AuditLog(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
done = 0
try:
    while True:
        done = log.record(Refused("s", "c", "x" * 500))
except AuditError as error:
    print(done, error, "|", error.help)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(log.record(Refused("s", "c", "again")))
log.close()
"""


def test_half_a_write_is_taken_back(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    first, second = ran.stdout.splitlines()
    done = int(first.split()[0])
    assert "free some space" in first
    assert int(second) == done + 2
    assert (check(tmp_path).records, check(tmp_path).flaws) == (done + 2, ())


def test_a_folder_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError) as caught:
        AuditLog(tmp_path / "file")
    assert "AGENT_HOME" in caught.value.help
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "head").symlink_to("/etc/passwd")
    with pytest.raises(AuditError):
        AuditLog(tmp_path / "linked")
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(AuditError, match="permission denied"):
            AuditLog(tmp_path / "closed")


def test_a_held_lock_does_not_hang(tmp_path: Path) -> None:
    import fcntl

    log = AuditLog(tmp_path, lock_seconds=0.05)
    with (tmp_path / "head").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(AuditError, match="held by another process"):
            log.record(refused())
    assert log.record(refused()) == 2  # after the gap
    log.close()


def test_a_record_too_long_is_refused_and_the_log_goes_on(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    with pytest.raises(AuditError, match="longer than"):
        log.record(Refused("s", "c", "x" * 5_000_000))
    assert log.record(refused()) == 2  # after the gap
    log.close()
    with pytest.raises(AuditError, match="closed"):
        log.record(refused())


def test_an_error_of_the_disk_is_not_taken_for_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(tmp_path)

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("compliance.log._datasync", broken)
        with pytest.raises(AuditError, match="input/output error"):
            log.record(refused())
    log.record(refused())
    log.close()
    assert (check(tmp_path).records, check(tmp_path).flaws) == (2, ())


def decided(decision: Decision) -> Decided:
    return Decided("s", "c", "t", "x", "/", Verdict(decision=decision))


@pytest.mark.parametrize(
    ("event", "want"),
    [
        (decided(Decision.ALLOW), False),
        (decided(Decision.ASK), True),
        (decided(Decision.DENY), True),
        (Approved("s", "c", Reply.YES, "me"), True),
        (refused(), True),
        (SessionEnded("s", "done"), True),
    ],
)
def test_what_must_survive_a_power_cut(
    event: Decided | Approved | Refused | SessionEnded, want: bool
) -> None:
    assert must_be_durable(event) is want


def test_no_log_is_a_clear_message(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no audit log in"):
        snapshot(tmp_path / "none")


def test_a_quota_refuses_with_one_gap_and_leaves_room_for_the_end(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, segment_bytes=900, quota_bytes=2500)
    written = 0
    with pytest.raises(AuditError, match="quota of 2500 bytes is used up") as caught:
        for number in range(100):
            log.record(Refused("s", f"c{number}", "no"))
            written += 1
    assert "audit.max_bytes" in caught.value.help
    for _ in range(3):
        with pytest.raises(AuditError):
            log.record(Refused("s", "again", "no"))
    log.record(SessionEnded("s", "done"))
    log.close()
    found = [entry.event for entry in entries(snapshot(tmp_path), Filter()) if isinstance(entry, Entry)]
    assert [type(event) for event in found] == [*[Refused] * written, Gap, Gap, SessionEnded]
    assert [event.count for event in found if isinstance(event, Gap)] == [0, 4]
    assert verify(snapshot(tmp_path)).intact
    with pytest.raises(AuditError):
        AuditLog(tmp_path, quota_bytes=2500).record(Refused("s", "new", "no"))
    roomy = AuditLog(tmp_path, quota_bytes=5000)
    assert roomy.record(Refused("s", "room", "no")) > written


def test_best_effort_goes_on_and_says_at_the_end_what_is_missing(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, quota_bytes=600, effort=Effort.BEST)
    numbers = [log.record(Refused("s", f"c{number}", "no")) for number in range(9)]
    assert numbers[0] == 1
    assert numbers[-1] == 0
    assert "quota" in log.trouble
    log.close()
    found = [entry.event for entry in entries(snapshot(tmp_path), Filter()) if isinstance(entry, Entry)]
    gaps = [event for event in found if isinstance(event, Gap)]
    assert gaps[-1].count == numbers.count(0)
    assert "ran all the same" in gaps[-1].reason


def test_a_quota_never_grows_beyond_its_reserve(tmp_path: Path) -> None:
    for _ in range(400):
        log = AuditLog(tmp_path, quota_bytes=300, effort=Effort.BEST)
        log.record(Refused("s", "c", "no"))
        log.record(Refused("s", "c", "no"))
        log.close()
    assert snapshot(tmp_path).bytes < 300 + QUOTA_RESERVE + 2000
