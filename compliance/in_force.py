"""What changed in the policy in force since the last session of the same workspace: told once, from the log itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from compliance.chain import canonical, read_line
from compliance.codec import from_json
from compliance.errors import RecordError
from compliance.events import AuditEvent, BundleChanged, BundleStep, PolicyFile, PolicyLoaded, SessionStarted
from compliance.segments import segments

WHOLE: Final = "policy in force"  # stands for the name of a bundle: all files of all layers together
MOST_BYTES: Final = (
    4 * 1024 * 1024
)  # of the end of the log that is looked at; what lies before it is not found
_NAMED: Final = 20
_START: Final = b'"kind":"session_started"'
_LOAD: Final = b'"kind":"policy_loaded"'


class InForce:
    """Remembers the last load of rules in one workspace."""

    def __init__(self, before: PolicyLoaded | None) -> None:
        self._before = before

    def told(self, loaded: PolicyLoaded) -> Iterator[AuditEvent]:
        """The events of one load: itself, and what it changed where another one is known."""
        yield loaded
        before, self._before = self._before, loaded
        if before is not None and before.policy != loaded.policy:
            yield change(before, loaded)


def change(before: PolicyLoaded, after: PolicyLoaded) -> BundleChanged:
    """From one policy to another. Nobody signs for it: `by` stays empty."""
    old = {(file.layer, file.path): file for file in before.files}
    new = {(file.layer, file.path): file for file in after.files}
    told = [f"was {before.policy or 'not known'}"]
    for word, places in (
        ("changed", [place for place in new if place in old and _state(old[place]) != _state(new[place])]),
        ("new", [place for place in new if place not in old]),
        ("gone", [place for place in old if place not in new]),
    ):
        names = [f"{path} ({layer})" for layer, path in places]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        if names:
            told.append(f"{word}: {', '.join(names[:_NAMED])}{more}")
    return BundleChanged(after.session, WHOLE, "", after.policy, BundleStep.ACTIVATED, "", "; ".join(told))


def last_loaded(folder: Path, workspace: str) -> PolicyLoaded | None:
    """The last load of rules by a session in `workspace`, in the last 4 MiB of the log in `folder`.

    None where there is none, or the log cannot be read: whoever opens it next says so.
    """
    try:
        data = _tail(folder)
    except OSError:
        return None
    here = b'"workspace":' + canonical(workspace)
    at = len(data)
    while (at := data.rfind(_START, 0, at)) >= 0:
        line = _line(data, at)
        if here not in line:
            continue
        started = _event(line)
        if isinstance(started, SessionStarted) and started.workspace == workspace:
            found = _load_of(data, at, started.session)
            if found is not None:
                return found
    return None


def _load_of(data: bytes, start: int, session: str) -> PolicyLoaded | None:
    """The last one that the session which began at `start` made."""
    of = b'"session":' + canonical(session)
    at = len(data)
    while (at := data.rfind(_LOAD, start, at)) >= 0:
        line = _line(data, at)
        event = _event(line) if of in line else None
        if isinstance(event, PolicyLoaded) and event.session == session:
            return event
    return None


def _tail(folder: Path) -> bytes:
    """The last bytes of the log, over as many segments as they take."""
    found: list[bytes] = []
    left = MOST_BYTES
    for path in reversed(segments(folder)):
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - left))
            found.append(file.read(left))
        left -= len(found[-1])
        if left <= 0:
            break
    return b"".join(reversed(found))


def _line(data: bytes, at: int) -> bytes:
    end = data.find(b"\n", at)
    return data[data.rfind(b"\n", 0, at) + 1 : end + 1] if end >= 0 else b""


def _event(line: bytes) -> AuditEvent | None:
    record = read_line(line)
    if record is None:
        return None
    try:
        return from_json(msgspec.json.decode(record.event))
    except (RecordError, msgspec.DecodeError, RecursionError):
        return None


def _state(file: PolicyFile) -> tuple[str, bool]:
    return file.digest, file.usable
