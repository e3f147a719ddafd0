"""Any single change to a chain of records is found, and the bad record is named."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.chain import START, FlawKind, Link, Verification, Verifier, canonical, read_line, seal
from compliance.codec import JsonObject, to_json
from compliance.events import Gap, GapKind, Refused

TIME = "2026-11-24T10:00:00.000000Z"


def chain(
    count: int, start: Link = START, events: list[JsonObject] | None = None
) -> tuple[list[bytes], Link]:
    lines, link = [], start
    for number in range(count):
        event = events[number] if events else to_json(Refused("s", f"call-{number}", "no"))
        line, link = seal(link, TIME, event)
        lines.append(line)
    return lines, link


def check(lines: list[bytes], head: Link | None) -> Verification:
    verifier = Verifier(head)
    joined = b"".join(lines)
    for number, line in enumerate(joined.splitlines(keepends=True), 1):
        verifier.feed("a", number, line)
    return verifier.finish()


def found(result: Verification) -> list[tuple[FlawKind, int, int]]:
    return [(flaw.kind, flaw.seq, flaw.line) for flaw in result.flaws]


LINES, HEAD = chain(6)


def test_an_untouched_chain_is_intact() -> None:
    assert check(LINES, HEAD) == Verification(records=6, end=HEAD, flaws=())
    assert check([], None).intact


def test_a_record_can_be_checked_with_nothing_but_json_and_sha256() -> None:
    record = json.loads(LINES[3])
    digest = record.pop("digest")
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == digest
    assert record["prev"] == json.loads(LINES[2])["digest"]


def foreign(seq: int, prev: str) -> bytes:
    return seal(Link(seq - 1, prev), TIME, to_json(Refused("s", "forged", "no")))[0]


def digest(line: bytes) -> str:
    record = read_line(line)
    assert record is not None
    return record.digest


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        pytest.param(
            [*LINES[:2], LINES[2].replace(b"no", b"on"), *LINES[3:]], [(FlawKind.EDITED, 3, 3)], id="edited"
        ),
        pytest.param(
            [LINES[0].replace(b"no", b"on"), *LINES[1:]], [(FlawKind.EDITED, 1, 1)], id="first-edited"
        ),
        pytest.param(
            [*LINES[:5], LINES[5].replace(b"no", b"on")], [(FlawKind.EDITED, 6, 6)], id="last-edited"
        ),
        pytest.param(
            [*LINES[:2], LINES[2][:50] + b"\n", *LINES[3:]], [(FlawKind.EDITED, 3, 3)], id="cut-middle"
        ),
        pytest.param([*LINES[:2], *LINES[3:]], [(FlawKind.DROPPED, 3, 3)], id="dropped"),
        pytest.param([*LINES[:1], *LINES[4:]], [(FlawKind.DROPPED, 2, 2)], id="three-dropped"),
        pytest.param(LINES[1:], [(FlawKind.DROPPED, 1, 1)], id="first-dropped"),
        pytest.param(LINES[:5], [(FlawKind.CUT, 6, 6)], id="tail-cut"),
        pytest.param([], [(FlawKind.CUT, 1, 1)], id="all-cut"),
        pytest.param([*LINES[:3], LINES[2], *LINES[3:]], [(FlawKind.INSERTED, 3, 4)], id="duplicated"),
        pytest.param([*LINES[:3], b"\n", *LINES[3:]], [(FlawKind.INSERTED, 0, 4)], id="blank-line"),
        pytest.param(
            [*LINES[:2], LINES[3], LINES[2], *LINES[4:]],
            [(FlawKind.REORDERED, 3, 3), (FlawKind.REORDERED, 3, 4)],
            id="swapped",
        ),
        pytest.param(
            [*LINES[:2], foreign(3, digest(LINES[1])), *LINES[3:]], [(FlawKind.EDITED, 3, 3)], id="resealed"
        ),
        pytest.param(
            [*LINES[:5], foreign(6, digest(LINES[4]))], [(FlawKind.EDITED, 6, 6)], id="last-resealed"
        ),
        pytest.param(
            [*LINES[:2], LINES[2].replace(b"no", b"on"), *LINES[4:]],
            [(FlawKind.EDITED, 3, 3), (FlawKind.DROPPED, 4, 4)],
            id="edited-and-dropped",
        ),
    ],
)
def test_the_bad_record_is_named(lines: list[bytes], want: list[tuple[FlawKind, int, int]]) -> None:
    assert found(check(lines, HEAD)) == want


def test_a_log_without_its_head_is_not_intact() -> None:
    assert found(check(LINES, None)) == [(FlawKind.HEAD, 0, 7)]


def test_a_head_may_lag_but_not_disagree() -> None:
    lag = Link(4, digest(LINES[3]))
    assert check(LINES, lag) == Verification(records=6, end=HEAD, flaws=(), behind=2)
    assert found(check(LINES, Link(4, digest(LINES[2])))) == [(FlawKind.EDITED, 4, 4)]


def test_a_recorded_gap_is_told_and_a_recorded_cut_stays_broken() -> None:
    torn = to_json(Gap("", GapKind.TORN, "half a line"))
    lines, end = chain(1, events=[torn])
    assert check(lines, end) == Verification(records=1, end=end, flaws=(), gaps=("record 1: half a line",))
    cut = to_json(Gap("", GapKind.CUT, "tail was gone", 1, 3))
    line, end = seal(Link(3, HEAD.digest), TIME, cut)
    assert (FlawKind.CUT, 1, 1) in found(check([line], end))


def test_memory_does_not_grow_with_flaws() -> None:
    verifier = Verifier(HEAD)
    for number in range(20_000):
        verifier.feed("a", number + 1, seal(Link(number * 2 + 1, "f" * 64), TIME, {})[0])
        verifier.feed("a", number + 1, b"junk\n")
    assert len(verifier.finish().flaws) <= 50


@given(st.integers(0, sum(map(len, LINES)) - 1), st.integers(1, 255))
def test_any_single_byte_change_is_found(at: int, flip: int) -> None:
    text = bytearray(b"".join(LINES))
    text[at] ^= flip
    lines = bytes(text).split(b"\n")
    kept = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    verifier = Verifier(HEAD)
    for number, line in enumerate(kept, 1):
        verifier.feed("a", number, line)
    result = verifier.finish()
    assert not result.intact
    touched = b"".join(LINES)[:at].count(b"\n") + 1
    assert result.flaws[0].line in (touched, touched + 1)
    assert result.flaws[0].seq in (touched, touched + 1, 0)


@given(st.integers(0, sum(map(len, LINES)) - 1), st.binary(min_size=1, max_size=3))
def test_any_bytes_put_in_are_found(at: int, more: bytes) -> None:
    text = b"".join(LINES)
    assert not check([text[:at] + more + text[at:]], HEAD).intact


@given(st.data())
def test_any_deletion_swap_or_duplication_is_found(data: st.DataObject) -> None:
    lines, head = chain(data.draw(st.integers(2, 12)))
    first = data.draw(st.integers(0, len(lines) - 1))
    second = data.draw(st.integers(0, len(lines) - 1).filter(lambda at: at != first))
    match data.draw(st.sampled_from(["delete", "swap", "duplicate", "move"])):
        case "delete":
            del lines[first]
        case "swap":
            lines[first], lines[second] = lines[second], lines[first]
        case "duplicate":
            lines.insert(second, lines[first])
        case _:
            lines.insert(second, lines.pop(first))
    assert not check(lines, head).intact


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=0xD7FF)), inner),
    )
)
def test_canonical_json_is_what_the_standard_library_would_write(value: object) -> None:
    want = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(value).decode() == want  # type: ignore[arg-type]


def test_bytes_that_are_no_text_are_spelled_out() -> None:
    assert canonical({"a": ["caf\udce9", "\ud800"]}) == b'{"a":["caf\\\\xe9","\\\\ud800"]}'
