"""The history of a thread, and the bounded model input made of it.

Entries are kept in the order in which they happened. The model wants another order: the items of one
response, then the outputs of its calls in call order. A call whose output never came is answered
`aborted`, so that a thread that was killed at any moment can go on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from agent.core.journal import COMPACTED, ITEM, USAGE
from agent.protocol.items import Json, JsonObject, Usage, call_output
from execpolicy.values import field, slotted

CALL_TYPES = ("function_call", "custom_tool_call")
OUTPUT_TYPES = ("function_call_output", "custom_tool_call_output")
ABORTED = "aborted"
_PICTURE = 6000
_REMOVED = "[output removed to keep the conversation within bounds]"


def is_call(item: Mapping[str, Json]) -> bool:
    """A call that the model expects an output for."""
    return item.get("type") in CALL_TYPES and isinstance(item.get("call_id"), str)


def sound(item: JsonObject) -> JsonObject:
    """`item` as it can be sent: half characters, which no text on the wire can hold, become `?`."""
    text = json.dumps(item, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        mended: JsonObject = json.loads(text.encode(errors="replace"))
        return mended
    return item


@slotted
class _Response:
    """One answer of the model, or one message to it, with the outputs of its calls."""

    items: list[JsonObject] = field(default_factory=list)
    outputs: dict[str, JsonObject] = field(default_factory=dict)
    closed: bool = False

    def laid_out(self) -> Iterator[JsonObject]:
        last = len(self.items)
        # A thought that a broken stream cut off from what it led to is refused by the model service.
        while self.closed and last and self.items[last - 1].get("type") == "reasoning":
            last -= 1
        yield from self.items[:last]
        answered: set[str] = set()
        for item in self.items:
            call_id = item.get("call_id")
            if is_call(item) and isinstance(call_id, str) and call_id not in answered:
                answered.add(call_id)
                yield self.outputs.get(call_id) or call_output(item, ABORTED)


class History:
    """Everything said and done in a thread, and the tokens it took."""

    def __init__(self, max_bytes: int = 3_000_000) -> None:
        """`max_bytes` bounds the model input; the oldest outputs give way first."""
        self._responses: list[_Response] = []
        self._counted = 0  # tokens of everything up to the last answer, as the service counted them
        self._counted_size = 0  # the size of what that was
        self._max_bytes = max_bytes
        self._total = 0
        self.usage = Usage()

    def say(self, item: JsonObject) -> None:
        """A message to the model: of the user, or of this program."""
        if self._responses:
            self._responses[-1].closed = True
        self._responses.append(_Response([item], closed=True))
        self._total += _size(item)

    def receive(self, item: JsonObject) -> None:
        """An item of the model's current response."""
        if not self._responses or self._responses[-1].closed:
            self._responses.append(_Response())
        self._responses[-1].items.append(item)
        self._total += _size(item)

    def answer(self, output: JsonObject) -> None:
        """The output of a call. One for a call that is not known, or already answered, is dropped."""
        call_id = output.get("call_id")
        for response in reversed(self._responses):
            if any(is_call(item) and item.get("call_id") == call_id for item in response.items):
                if isinstance(call_id, str) and call_id not in response.outputs:
                    response.outputs[call_id] = output
                    self._total += _size(output)
                return

    @property
    def tokens(self) -> int:
        """How long the conversation is: what the service counted last, and an estimate of what came after."""
        return max(self._counted + max(self._total - self._counted_size, 0) // 4, 0)

    def replace(self, items: Iterable[JsonObject]) -> None:
        """`items` stand in place of everything before. The tokens that were spent stay spent."""
        self._responses = [_Response([item], closed=True) for item in items]
        self._total = sum(_size(item) for response in self._responses for item in response.items)
        self._counted = self._counted_size = 0

    def make_room(self, share: float) -> None:
        """Take the oldest outputs away, until at most this share of the conversation is left, if it can be."""
        self._shorten(int(self._total * share))

    def close(self, usage: Usage) -> None:
        """The model's current response is over."""
        self.usage = self.usage + usage
        if usage.input_tokens:
            self._counted = usage.input_tokens + usage.output_tokens
            self._counted_size = self._total
            if self._responses:  # it has not seen the outputs of its own calls
                self._counted_size -= sum(map(_size, self._responses[-1].outputs.values()))
        if self._responses:
            self._responses[-1].closed = True

    def knows_call(self, call_id: str) -> bool:
        """A call of this id came before."""
        return any(
            is_call(item) and item.get("call_id") == call_id
            for response in self._responses
            for item in response.items
        )

    def input(self) -> tuple[JsonObject, ...]:
        """The items in the order the model wants, shortened where they are too many."""
        if self._total > self._max_bytes:
            # Down to three quarters at once: a cut each step would spoil the service's cache each step.
            self._shorten(self._max_bytes * 3 // 4)
        return tuple(item for response in self._responses for item in response.laid_out())

    def _shorten(self, wanted: int) -> None:
        for response in self._responses[:-1]:
            for call_id, output in response.outputs.items():
                if self._total <= wanted:
                    return
                short: JsonObject = {**output, "output": _REMOVED}
                if (saved := _size(output) - _size(short)) > 0:
                    response.outputs[call_id] = short
                    self._total -= saved
                    self._counted = max(self._counted - saved // 4, 0)
                    self._counted_size -= saved


def _size(item: JsonObject) -> int:
    text = json.dumps(item, ensure_ascii=False)
    pictures = _pictures(item) if '"image_url"' in text else []
    # A picture costs the model about this, however many bytes it has.
    return len(text) + sum(_PICTURE - len(url) for url in pictures if len(url) > _PICTURE)


def _pictures(item: JsonObject) -> list[str]:
    parts = [item.get("content"), item.get("output")]
    urls = [
        one.get("image_url")
        for part in parts
        if isinstance(part, list)
        for one in part
        if isinstance(one, dict)
    ]
    return [url for url in urls if isinstance(url, str)]


def replay(entries: Iterable[tuple[str, JsonObject]], history: History) -> None:
    """Feed stored entries, as a `Journal` got them, into an empty history. Other kinds are skipped."""
    spent = Usage()
    for kind, payload in entries:
        if kind == ITEM:
            if payload.get("type") in OUTPUT_TYPES:
                history.answer(payload)
            elif payload.get("type") == "message" and payload.get("role", "assistant") != "assistant":
                history.say(payload)
            else:
                history.receive(payload)
        elif kind == COMPACTED:
            items = payload.get("items")
            if isinstance(items, list):
                history.replace(item for item in items if isinstance(item, dict))
        elif kind == USAGE:
            spent = usage_from(payload)
            history.close(Usage())
    history.usage = spent


def usage_to(usage: Usage) -> JsonObject:
    return {
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_output_tokens": usage.reasoning_output_tokens,
        "cache_write_input_tokens": usage.cache_write_input_tokens,
    }


def usage_from(payload: JsonObject) -> Usage:
    def count(name: str) -> int:
        value = payload.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else 0

    return Usage(
        count("input_tokens"),
        count("cached_input_tokens"),
        count("output_tokens"),
        count("reasoning_output_tokens"),
        count("cache_write_input_tokens"),
    )
