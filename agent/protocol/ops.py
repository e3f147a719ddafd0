"""What a frontend may ask of a conversation."""

from __future__ import annotations

from agent.protocol.approvals import ApprovalReply
from agent.protocol.items import JsonObject
from execpolicy.values import frozen


@frozen
class StartTurn:
    text: str
    images: tuple[str, ...] = ()  # data URLs that go with the text
    text_format: JsonObject | None = None  # `text.format` of every request of the turn


@frozen
class Reply:
    reply: ApprovalReply


@frozen
class Interrupt:
    """End the running turn; the session goes on."""


@frozen
class Close:
    """End the session: running commands are killed, everything is flushed, `Closed` is the last event."""


Op = StartTurn | Reply | Interrupt | Close
