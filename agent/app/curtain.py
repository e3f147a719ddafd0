"""Events as a person sees them: without secrets, also those that two pieces of an output make together."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final

from agent.protocol.events import (
    Closed,
    CommandEnded,
    CommandOutput,
    CommandStarted,
    Event,
    Judged,
    MessageDone,
    TextDelta,
    ToolEnded,
    ToolStarted,
)
from compliance.redact import Redactor
from compliance.stream import Stream
from execpolicy.engine.masks import Masks
from execpolicy.values import replace

ANSWER: Final = "\0answer"  # the stream of what the model says; no call has this id


class Audience(enum.Enum):
    """Who sees the events of a session."""

    PERSON = "person"
    PROGRAM = "program"  # gets them whole, unless `redact.output` is `all`


class Curtain:
    """Hides what is secret in events."""

    def __init__(self, hide: Redactor, masks: Masks) -> None:
        self._hide = hide
        self._masks = masks
        self._streams: dict[str, Stream] = {}
        self._hidden: dict[str, str] = {}  # the calls whose output no one sees, and the mask that says so

    def shown(self, event: Event) -> Iterator[Event]:
        """What is shown in the place of `event`."""
        match event:
            case TextDelta(text):
                yield from self._piece(ANSWER, text)
                return
            case CommandOutput(call_id, text):
                if call_id not in self._hidden:
                    yield from self._piece(call_id, text)
                return
            case MessageDone() | Closed():
                yield from self._rest(ANSWER)
            case CommandStarted(call_id, command):
                if (mask := self._masks.reads(command)) is not None:
                    self._hidden[call_id] = mask
            case CommandEnded(call_id):
                yield from self._rest(call_id)
                if (mask := self._hidden.pop(call_id, None)) is not None:
                    event = replace(event, output=self._hide.marker(event.output, mask))
            case ToolStarted(tool=tool, server=server) | ToolEnded(tool=tool, server=server):
                event = replace(
                    event,
                    arguments=self._hide.json(event.arguments, tool, server or None),
                    subject=self._hide.text(event.subject, tool, server or None),
                )
            case Judged(tool=tool, subject=subject):
                event = replace(event, subject=self._hide.text(subject, tool))
            case _:
                pass
        yield self._hide.value(event)

    def _piece(self, name: str, text: str) -> Iterator[Event]:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Stream(self._hide)
        yield from self._as_event(name, stream.feed(text))

    def _rest(self, name: str) -> Iterator[Event]:
        stream = self._streams.pop(name, None)
        if stream is not None:
            yield from self._as_event(name, stream.finish())

    def _as_event(self, name: str, text: str) -> Iterator[Event]:
        if text:
            yield TextDelta(text) if name == ANSWER else CommandOutput(name, text)
