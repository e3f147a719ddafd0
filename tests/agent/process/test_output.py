"""Head, tail and count of what a command said."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from agent.process.output import Capture


def fill(chunks: list[bytes], limit: int) -> tuple[Capture, str]:
    capture = Capture(limit)
    shown = "".join(capture.feed(chunk) for chunk in chunks) + capture.finish()
    return capture, shown


@given(st.lists(st.binary(max_size=200), max_size=30), st.integers(256, 600))
def test_what_is_kept_and_what_is_counted(chunks: list[bytes], limit: int) -> None:
    whole = b"".join(chunks)
    capture, shown = fill(chunks, limit)
    text, omitted = capture.kept()
    assert shown == whole.decode("utf-8", "replace")
    assert capture.digest == hashlib.sha256(whole).hexdigest()
    assert capture.size == len(whole)
    if len(whole) <= limit:
        assert (text, omitted) == (shown, 0)
        return
    head, _, tail = text.partition(f"\n[... {omitted} bytes omitted ...]\n")
    assert len(whole) - limit <= omitted <= len(whole) - limit + 6
    assert whole.decode("utf-8", "replace").startswith(head.rstrip("�"))
    assert tail[-20:] == whole.decode("utf-8", "replace")[-20:]


@given(st.text(min_size=300, max_size=900), st.lists(st.integers(1, 90), min_size=1, max_size=20))
def test_no_character_is_cut(text: str, widths: list[int]) -> None:
    data = text.encode()
    chunks = []
    for width in [*widths, len(data)]:
        chunks.append(data[:width])
        data = data[width:]
    capture, shown = fill(chunks, 256)
    kept, omitted = capture.kept()
    assert shown == text
    head, _, tail = kept.partition(f"\n[... {omitted} bytes omitted ...]\n")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head.encode()) + len(tail.encode()) + omitted == len(text.encode()) or omitted == 0


def test_memory_is_bounded_however_small_the_pieces() -> None:
    capture = Capture(1000)
    for _ in range(100_000):
        capture.feed(b"x")
    assert len(capture._tail) <= 501
    for size in (1 << 20, 1):
        capture.feed(b"y" * size)
    assert sum(map(len, capture._tail)) <= (1 << 20) + 500
