"""Reads the JSON arguments of a function call into a typed value, or says what is wrong with them."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from agent.tools.base import BadCall, ToolCall

T = TypeVar("T")


def read_arguments(call: ToolCall, kind: type[T]) -> T | BadCall:
    """Unknown members are ignored, numbers written as text are accepted."""
    if call.custom:
        return BadCall(f"`{call.name}` is a function: call it with JSON arguments, not with plain text")
    try:
        return msgspec.json.decode(call.payload or "{}", type=kind, strict=False)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        return BadCall(f"failed to parse function arguments: {error}")
