"""What a reviewer is told and what it may answer: one JSON object each way, nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, Literal, Protocol

import msgspec

from agent.protocol.approvals import ApprovalRequest
from agent.protocol.items import Json, JsonObject
from execpolicy.values import frozen

SCHEMA: Final = 1  # of what a reviewer is told; members may be added
MOST_ANSWER: Final = 64 * 1024  # bytes
MOST_REASON: Final = 2000  # characters that are kept
MOST_TOLD: Final = 200_000  # characters of one text that is told; a request that is longer is for a person
ANSWER_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "decision": {"type": "string", "enum": ["allow", "deny", "ask"]},
        "reason": {"type": "string"},
    },
    "required": ["decision", "reason"],
    "additionalProperties": False,
}


@frozen
class Review:
    """What a reviewer says. `allow` is None where it leaves the question to a person."""

    allow: bool | None
    reason: str


class Reviewer(Protocol):
    """Answers in the place of a person. INVARIANT: it is asked about asks only, and a yes of it is for once."""

    @property
    def name(self) -> str:
        """As it is recorded: `command:PATH`, `model:NAME`."""
        ...

    async def review(self, request: ApprovalRequest) -> Review:
        """Its answer. Never raises; bounded in time; what goes wrong leaves the question to a person."""
        ...


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    decision: Literal["allow", "deny", "ask"]
    reason: str = ""


def read_answer(data: bytes) -> Review:
    """What it decides. Raises `ValueError` for anything but one object of the wanted form."""
    if len(data) > MOST_ANSWER:
        raise ValueError(f"its answer is longer than {MOST_ANSWER} bytes")
    try:
        answer = msgspec.json.decode(data, type=_Answer, strict=True)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"its answer is not the JSON that is wanted: {error}") from None
    if len(json.loads(data, object_pairs_hook=list)) != len(msgspec.json.decode(data)):
        raise ValueError("its answer names a member twice")
    return Review({"allow": True, "deny": False, "ask": None}[answer.decision], answer.reason[:MOST_REASON])


def question(request: ApprovalRequest, session: str) -> JsonObject:
    """What a reviewer is told. INVARIANT: nothing of the environment, no key, no text of a file but the diff."""
    return {
        "schema": SCHEMA,
        "type": "approval_request",
        "session": session,
        "id": request.id,
        "tool": request.tool,
        "subject": request.subject,
        "cwd": request.cwd,
        "reason": request.reason,
        "diff": request.diff,
        "verdict": request.details or {},
    }


def encoded(request: ApprovalRequest, session: str, masked: Callable[[str], str] = str) -> bytes:
    """`question` as bytes, secrets `masked`. Raises `ValueError` where it is too long to be looked at."""
    text = json.dumps(_clean(question(request, session), masked), ensure_ascii=True)
    if len(text) > MOST_TOLD:
        raise ValueError("what is asked about is too long")
    return text.encode()


def _clean(value: Json, masked: Callable[[str], str]) -> Json:
    match value:
        case str():
            return masked(value)
        case dict():
            return {name: _clean(one, masked) for name, one in value.items()}
        case list():
            return [_clean(one, masked) for one in value]
        case _:
            return value
