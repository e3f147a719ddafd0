"""The event decoder gives the same events however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.llm.sse import EventDecoder, EventTooLarge


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        pytest.param(b"data: a\n\n", ["a"], id="one"),
        pytest.param(b"data:a\n\n", ["a"], id="no-space"),
        pytest.param(b"data:  a\n\n", [" a"], id="only-one-space-goes"),
        pytest.param(b"data: a\ndata: b\n\n", ["a\nb"], id="lines-join"),
        pytest.param(b"event: x\nid: 3\nretry: 9\ndata: a\n\n", ["a"], id="other-fields"),
        pytest.param(b": ping\n\ndata: a\n\n", ["a"], id="comment"),
        pytest.param(b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", ["a", "b", "c"], id="every-line-end"),
        pytest.param(b"data: a\n\ndata: b", ["a"], id="unfinished-is-dropped"),
        pytest.param(b"data: \xff\n\n", ["\ufffd"], id="not-utf-8"),
        pytest.param(b"\n\n\n", [], id="blank"),
        pytest.param(b"data\n\n", [""], id="field-without-colon"),
    ],
)
def test_events(stream: bytes, events: list[str]) -> None:
    assert EventDecoder().feed(stream) == events


@given(
    st.lists(
        st.sampled_from(
            [b"data: x", b"data: \xc3\xa9", b"\n", b"\r\n", b"\r", b": c", b"event: e", b"data:"]
        ),
        max_size=20,
    ),
    st.data(),
)
def test_cutting_changes_nothing(pieces: list[bytes], data: st.DataObject) -> None:
    # A final line keeps a CR at the very end from waiting for its other half.
    stream = b"".join(pieces) + b"\ndata: last\n\n"
    whole = EventDecoder().feed(stream)
    decoder, found, at = EventDecoder(), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, 5))
        found += decoder.feed(stream[at : at + size])
        at += size
    assert found == whole


def test_an_endless_event_is_refused() -> None:
    decoder = EventDecoder(limit=1000)
    with pytest.raises(EventTooLarge):
        for _ in range(200):
            decoder.feed(b"data: 0123456789")
    with pytest.raises(EventTooLarge):
        EventDecoder(limit=1000).feed(b"data: x\n" * 1001)
