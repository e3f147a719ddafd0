"""Any single change to any byte of any file of a log is found, and so is any other handling of its files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.chain import Flaw, FlawKind, Verification
from compliance.checkpoint import Roots, advance, keeping
from compliance.errors import AuditError
from compliance.events import Decided, Gap, GapKind, Refused
from compliance.log import AuditLog
from compliance.segments import snapshot, verify
from execpolicy.decision import Decision, Part, Verdict

pytest.importorskip("cryptography")


def check(folder: Path) -> Verification:
    """As `agent audit verify` does."""
    log = snapshot(folder)
    kept = keeping(folder)
    roots = Roots(kept.sizes)
    result = verify(log, watch=roots.feed)
    return replace(result, flaws=(*result.flaws, *kept.judged(roots, kept.key)))


def write(folder: Path) -> None:
    log = AuditLog(folder, segment_bytes=900)
    for number in range(5):
        log.record(Refused("s", f"c{number}", "é" * 40))
    log.close()
    advance(folder)
    with max(folder.glob("records-*")).open("ab") as file:
        file.write(b'{"digest":"half')  # what a crash leaves
    log = AuditLog(folder, segment_bytes=900)
    part = Part(kind="command", text="ls", decision=Decision.ASK)
    log.record(Decided("s", "d", "t", "ls", "/", Verdict(decision=Decision.ASK, parts=(part,))))
    log.record(Gap("s", GapKind.LOST, "collector", count=2))
    log.close()
    advance(folder)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log") / "audit"
    write(folder)
    assert check(folder).flaws == ()
    assert len(list(folder.glob("records-*"))) >= 3
    return folder


@pytest.fixture
def copy(log: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(log, tmp_path / "audit"))


def flip(data: bytes, at: int, byte: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (byte or 1)]) + data[at + 1 :]


def drop(data: bytes, at: int, byte: int) -> bytes:
    return data[:at] + data[at + 1 :]


def insert(data: bytes, at: int, byte: int) -> bytes:
    return data[:at] + bytes([byte]) + data[at:]


def double(data: bytes, at: int, byte: int) -> bytes:
    return data[: at + 1] + data[at : at + 1] + data[at + 1 :]


def upper(data: bytes, at: int, byte: int) -> bytes:
    changed = data[:at] + data[at : at + 1].swapcase() + data[at + 1 :]
    return changed if changed != data else flip(data, at, byte)


def space(data: bytes, at: int, byte: int) -> bytes:
    return insert(data, at, b" \t\n\r"[byte % 4])


def cut(data: bytes, at: int, byte: int) -> bytes:
    return data[:at]


CHANGES = (flip, drop, insert, double, upper, space, cut)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(CHANGES), st.integers(0, 255))
def test_any_change_of_a_byte_is_found(
    log: Path, data: st.DataObject, change: Callable[[bytes, int, int], bytes], byte: int
) -> None:
    name = data.draw(st.sampled_from(files(log)))
    before = (log / name).read_bytes()
    at = data.draw(st.integers(0, len(before) - 1))
    changed = change(before, at, byte)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(log, Path(place) / "audit"))
        (folder / name).write_bytes(changed)
        flaws = check(folder).flaws
        assert flaws, (name, at, change.__name__)
        if name.startswith("records-") and change in (flip, drop, insert, upper):
            line = before[:at].count(b"\n") + 1
            assert any(near(flaw, name, line) for flaw in flaws), flaws


def near(flaw: Flaw, name: str, line: int) -> bool:
    """The flaw is told where the change is: a line that lost its end takes the next one with it."""
    return flaw.segment == name and abs(flaw.line - line) <= 1


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("records-*"))


def swap(folder: Path) -> None:
    first, second = segments(folder)[:2]
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)


def again(folder: Path) -> None:
    shutil.copy(segments(folder)[0], folder / "records-000000000099.jsonl")


def again_next(folder: Path) -> None:
    last = segments(folder)[-1]
    shutil.copy(segments(folder)[0], folder / f"records-{int(last.stem[8:]) + 1:012}.jsonl")


def rename_first(folder: Path) -> None:
    segments(folder)[0].rename(folder / "records-000000000000.jsonl")


def rename_last(folder: Path) -> None:
    segments(folder)[-1].rename(folder / "records-000000000050.jsonl")


def without(number: int) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        segments(folder)[number].unlink()

    return remove


def crlf(folder: Path) -> None:
    for path in segments(folder):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def garbage(folder: Path) -> None:
    with segments(folder)[-1].open("ab") as file:
        file.write(b"garbage")


def garbage_line(folder: Path) -> None:
    with segments(folder)[0].open("ab") as file:
        file.write(b"garbage\n")


def zeros(folder: Path) -> None:
    with segments(folder)[-1].open("ab") as file:
        file.write(bytes(4096))


def lines_swapped(folder: Path) -> None:
    path = segments(folder)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))


def last_line_gone(folder: Path) -> None:
    path = segments(folder)[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def notes_swapped(folder: Path) -> None:
    path = folder / "checkpoints.jsonl"
    path.write_bytes(b"".join(reversed(path.read_bytes().splitlines(keepends=True))))


def a_line_end_before_the_notes(folder: Path) -> None:
    path = folder / "checkpoints.jsonl"
    path.write_bytes(b"\r" + path.read_bytes())


def last_note_gone(folder: Path) -> None:
    path = folder / "checkpoints.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


def another_key(folder: Path) -> None:
    for name in ("device.key", "device.vkey"):
        (folder / name).unlink()
    other = folder.parent / "other"
    AuditLog(other).record(Refused("s", "c", "no"))
    advance(other)
    for name in ("device.key", "device.vkey"):
        shutil.copy(other / name, folder / name)


def gone(name: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        (folder / name).unlink()

    return remove


def next_segment(folder: Path) -> Path:
    return folder / f"records-{int(segments(folder)[-1].stem[8:]) + 1:012}.jsonl"


def a_folder_next(folder: Path) -> None:
    next_segment(folder).mkdir()


def a_pipe_next(folder: Path) -> None:
    os.mkfifo(next_segment(folder))


def a_dangling_link_next(folder: Path) -> None:
    next_segment(folder).symlink_to(folder / "nowhere")


def number_zero(folder: Path) -> None:
    shutil.copy(segments(folder)[0], folder / "records-000000000000.jsonl")


ODD = (a_folder_next, a_pipe_next, a_dangling_link_next, number_zero)


def torn_gone(folder: Path) -> None:
    next(folder.glob("torn-*")).unlink()


HANDLINGS = {
    "segments swapped": swap,
    "a segment twice, far behind": again,
    "a segment twice, next": again_next,
    "the first renamed": rename_first,
    "the last renamed": rename_last,
    "the first gone": without(0),
    "one in the middle gone": without(1),
    "the last gone": without(-1),
    "other line ends": crlf,
    "garbage at the end": garbage,
    "a line of garbage": garbage_line,
    "a tail of zeros": zeros,
    "lines swapped": lines_swapped,
    "the last line gone": last_line_gone,
    "checkpoints swapped": notes_swapped,
    "the last checkpoint gone": last_note_gone,
    "checkpoints gone": gone("checkpoints.jsonl"),
    "the public key gone": gone("device.vkey"),
    "the head gone": gone("head"),
    "another key": another_key,
    "what was put aside gone": torn_gone,
    "a carriage return before the checkpoints": a_line_end_before_the_notes,
    **{odd.__name__: odd for odd in ODD},
}


@pytest.mark.parametrize("handle", HANDLINGS.values(), ids=HANDLINGS)
def test_any_handling_of_the_files_is_found(copy: Path, handle: Callable[[Path], None]) -> None:
    handle(copy)
    assert check(copy).flaws


def places(log: Path) -> Iterator[int]:
    size = segments(log)[-1].stat().st_size
    yield from range(0, size, 7)


def test_a_last_segment_cut_anywhere_is_found(log: Path, copy: Path) -> None:
    path = segments(copy)[-1]
    whole = path.read_bytes()
    for at in places(log):
        path.write_bytes(whole[:at])
        assert check(copy).flaws, at


@pytest.mark.parametrize("odd", ODD)
def test_what_is_only_named_like_a_segment_is_named(copy: Path, odd: Callable[[Path], None]) -> None:
    before = set(files(copy))
    odd(copy)
    (name,) = set(files(copy)) - before
    (flaw,) = check(copy).flaws
    assert (flaw.kind, flaw.segment) == (FlawKind.INSERTED, name)


@pytest.mark.parametrize("odd", [a_folder_next, a_pipe_next, a_dangling_link_next])
def test_nothing_is_recorded_into_what_is_no_segment(copy: Path, odd: Callable[[Path], None]) -> None:
    """A pipe would take the record, and nobody would ever read it."""
    place = next_segment(copy)
    odd(copy)
    log = AuditLog(copy, segment_bytes=1)
    with pytest.raises(AuditError) as caught:
        log.record(Refused("s", "c", "no"))
    assert "move what stands in its place" in caught.value.help
    place.rename(copy / "moved")
    assert log.record(Refused("s", "c", "no")) > 0
    log.close()
    assert check(copy).intact
