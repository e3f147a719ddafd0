"""W3C trace context: where a span stands, as it is handed to others and taken from them. Pure.

Source: https://www.w3.org/TR/trace-context/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

MOST_STATE: Final = 512  # characters of a tracestate that are handed on
_HEADER: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE: Final = re.compile(r"[\x20-\x7e]*")


class Ids(NamedTuple):
    """Where a span stands. `sampled`: whether its trace is sent."""

    trace: int
    span: int
    parent: int  # 0: it has none
    sampled: bool
    state: str = ""  # what tracers before us handed down


def header(ids: Ids) -> str:
    """`ids` as a `traceparent`."""
    return f"00-{ids.trace:032x}-{ids.span:016x}-{int(ids.sampled):02x}"


def child(above: Ids, span: int) -> Ids:
    return Ids(above.trace, span, above.span, above.sampled, above.state)


def read(traceparent: str, tracestate: str = "") -> Ids | None:
    """None for what is no context: then a new trace begins, as the specification wants."""
    found = _HEADER.fullmatch(traceparent.strip())
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    trace, span = int(found[2], 16), int(found[3], 16)
    if not trace or not span:
        return None
    sound = len(tracestate) <= MOST_STATE and _STATE.fullmatch(tracestate)
    return Ids(trace, span, 0, bool(int(found[4], 16) & 1), tracestate if sound else "")


def from_environment(env: Mapping[str, str]) -> Ids | None:
    """The context that whoever started us handed down in TRACEPARENT."""
    return read(env.get("TRACEPARENT", ""), env.get("TRACESTATE", ""))
