"""Words in stored threads: which thread holds them, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.protocol.items import Json, JsonObject, message_text
from agent.sessions.store import ITEM, SessionInfo, SessionStore

AROUND = 60  # characters shown on each side of a hit


@dataclass(frozen=True, slots=True)
class Hit:
    """The last place in one thread that holds the words."""

    session: SessionInfo
    seq: int
    excerpt: str
    count: int  # places in the thread


def search(store: SessionStore, text: str, cwd: str | None = None) -> Iterator[Hit]:
    """Threads that hold `text`, the last used first; upper and lower case do not matter."""
    wanted = text.casefold()
    for info in store.list(cwd, limit=-1, archived=None):
        found: list[tuple[int, str]] = []
        if wanted in info.name.casefold():
            found.append((0, info.name))
        for event in store.events(info.thread_id):
            if event.kind == ITEM:
                found += [(event.seq, part) for part in texts(event.payload) if wanted in part.casefold()]
        if found:
            seq, part = found[-1]
            yield Hit(info, seq, _excerpt(part, wanted), len(found))


def texts(item: JsonObject) -> Iterator[str]:
    """What a person could have read of an item: its message, its call, the output of a call."""
    if text := message_text(item):
        yield text
    for name in ("arguments", "input", "output"):
        yield from _strings(item.get(name))
    summary = item.get("summary")
    if isinstance(summary, list):
        for part in summary:
            if isinstance(part, dict):
                yield from _strings(part.get("text"))


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, dict):
                yield from _strings(one.get("text"))


def _excerpt(text: str, wanted: str) -> str:
    at = max(text.casefold().find(wanted), 0)
    start, end = max(at - AROUND, 0), at + len(wanted) + AROUND
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
