"""What is not shown of a session: the redactor of its record, its frontends and its exports."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from agent.config.model import Settings
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
from compliance.mask_keys import current_key
from compliance.redact import MaskKey, Redactor
from compliance.secrets import secret_values
from compliance.stream import Stream
from execpolicy.engine.masks import Masks
from execpolicy.engine.policy import Policy
from execpolicy.engine.words import Places
from execpolicy.lang.rules import Mask
from execpolicy.shell.analyse import analyse

ANSWER: Final = "\0answer"  # the stream of what the model says; no call has this id


class Audience(enum.Enum):
    """Who sees the events of a session."""

    PERSON = "person"
    PROGRAM = "program"  # gets them whole, unless `redact.output` is `all`


def redactor(
    settings: Settings, policy: Policy, environment: Mapping[str, str], *, today: datetime.date
) -> Redactor:
    """Hides the values of secret variables and of the key store, what has a secret's form, and what rules mask.

    Raises `AuditError` when the key of the digests can neither be read nor made.
    """
    return _made(settings, policy, environment, current_key(settings.audit, today))


def reader(settings: Settings, policy: Policy, environment: Mapping[str, str]) -> Redactor:
    """The same for what is only shown: markers carry no digest, and nothing is written."""
    return _made(settings, policy, environment, None)


def _made(
    settings: Settings, policy: Policy, environment: Mapping[str, str], key: MaskKey | None
) -> Redactor:
    secrets = secrets_of(settings, policy.masks, environment)
    return Redactor(sorted(secrets), key, masks_of(policy.masks, settings, environment))


def masks_of(masks: tuple[Mask, ...], settings: Settings, environment: Mapping[str, str]) -> Masks | None:
    """The finder of what rules mask; None where no rule masks anything."""
    if not masks:
        return None
    places = Places(str(settings.cwd), str(settings.workspace), environment.get("HOME", ""))
    return Masks(masks, places=places, read=lambda script: analyse(script).commands)


def secrets_of(settings: Settings, masks: tuple[Mask, ...], environment: Mapping[str, str]) -> set[str]:
    """Values that are secret: of variables by their name or by a mask, and of the key store."""
    found = {*secret_values(environment), *settings.secrets}
    hiding = masks_of(masks, settings, environment)
    if hiding is not None:
        found |= {value for name, value in environment.items() if value and hiding.variable(name)}
    return found


class Curtain:
    """Events as they are shown: without secrets, also those that two pieces of an output make together."""

    def __init__(self, hide: Redactor, masks: Masks | None) -> None:
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
            case CommandStarted(call_id, command) if self._masks is not None:
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
