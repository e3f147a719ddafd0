"""What a frontend may ask of a conversation."""

from __future__ import annotations

from dataclasses import dataclass

from agent.protocol.approvals import ApprovalReply


@dataclass(frozen=True, slots=True)
class StartTurn:
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    reply: ApprovalReply


@dataclass(frozen=True, slots=True)
class Interrupt:
    """End the running turn; the session goes on."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the session: running commands are killed, everything is flushed, `Closed` is the last event."""


Op = StartTurn | Reply | Interrupt | Close
