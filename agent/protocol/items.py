"""What a conversation is made of: messages, calls, results.

An item is kept as the JSON object of the Responses API, exactly as it came or will be sent, so that
nothing the model service adds is lost on the way back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from execpolicy.values import frozen

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
JsonObject = dict[str, Json]


@frozen
class Usage:
    """Tokens, as the model service counts them."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0
    cache_write_input_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_output_tokens + other.reasoning_output_tokens,
            self.cache_write_input_tokens + other.cache_write_input_tokens,
        )


def user_message(text: str, images: Sequence[str] = ()) -> JsonObject:
    """A message of the user. `images` are data URLs."""
    content: list[Json] = [{"type": "input_text", "text": text}]
    content += [{"type": "input_image", "image_url": url, "detail": "high"} for url in images]
    return {"type": "message", "role": "user", "content": content}


def developer_message(text: str) -> JsonObject:
    """A message of the program that runs the model."""
    return {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": text}]}


def call_output(call: Mapping[str, Json], output: str, content: Sequence[JsonObject] = ()) -> JsonObject:
    """The answer to a function or custom tool call, in the form the call asks for: `content`, or the text."""
    kind = "custom_tool_call_output" if call.get("type") == "custom_tool_call" else "function_call_output"
    return {"type": kind, "call_id": call.get("call_id"), "output": list(content) or output}


def message_text(item: Mapping[str, Json]) -> str:
    """The text of an assistant or user message, a refusal included; empty for anything else."""
    content = item.get("content")
    if not isinstance(content, list):
        return ""
    parts = [part.get("text", part.get("refusal")) for part in content if isinstance(part, dict)]
    return "".join(part for part in parts if isinstance(part, str))
