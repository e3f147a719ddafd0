"""Makes room in a conversation that grows too long: what was said becomes a summary, what must not be lost stays.

Kept word for word: the user's own latest words, the plan, the files that were changed, and the commands that
still run. The model sums up the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from agent.core.context import is_call
from agent.protocol.items import JsonObject, message_text, user_message

USER_BYTES = 80_000  # of the user's own words
SUMMARY_BYTES = 60_000
MOST_FILES = 200
HEAD = "<conversation_summary>"
_TAIL = "</conversation_summary>"
_PATCHED = re.compile(r"^\*\*\* (Add|Update|Delete) File: (.+)$|^\*\*\* (Move) to: (.+)$", re.MULTILINE)
_OURS = ("<environment_context>", "# AGENTS.md instructions", HEAD)


def replacement(items: Sequence[JsonObject], summary: str, state: str) -> tuple[JsonObject, ...]:
    """What stands in place of `items`. `state`: what else the model has to know of right now."""
    parts = [
        "The conversation so far was summed up to make room. This is what you wrote about it:",
        _cut(summary.strip() or "(nothing)", SUMMARY_BYTES),
        _plan(items),
        _files(items),
        state,
    ]
    text = "\n\n".join(filter(None, parts))
    return (*_words(items), user_message(f"{HEAD}\n{text}\n{_TAIL}"))


def _words(items: Sequence[JsonObject]) -> list[JsonObject]:
    """The user's messages, the last ones whole, older ones as far as there is room."""
    kept: list[JsonObject] = []
    left = USER_BYTES
    for item in reversed(items):
        text = message_text(item)
        if item.get("type") != "message" or item.get("role") != "user" or text.startswith(_OURS):
            continue
        if left <= 0:
            break
        kept.append(user_message(_cut(text, left)))
        left -= len(text.encode(errors="replace"))
    return kept[::-1]


def _plan(items: Sequence[JsonObject]) -> str:
    """The last plan, step by step."""
    for item in reversed(items):
        if is_call(item) and item.get("name") == "update_plan":
            try:
                steps = json.loads(str(item.get("arguments")))["plan"]
                lines = [f"- [{step['status']}] {' '.join(step['step'].split())}" for step in steps]
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue
            return _cut("The plan:\n" + "\n".join(lines), SUMMARY_BYTES)
    return _earlier(items, "The plan:")


def _files(items: Sequence[JsonObject]) -> str:
    """The files that patches were made to; also those that an earlier summary names."""
    found: dict[str, str] = {}
    for line in _earlier(items, "Files changed so far:").splitlines()[1:]:
        word, _, path = line.removeprefix("- ").partition(" ")
        found[path] = word
    for item in items:
        if is_call(item):
            text = str(item.get("input") or item.get("arguments") or "").replace("\\n", "\n")
            for match in _PATCHED.finditer(text):
                found[match[2] or match[4]] = (match[1] or match[3]).lower()
    if not found:
        return ""
    lines = [f"- {word} {path[:500]}" for path, word in list(found.items())[-MOST_FILES:]]
    return "Files changed so far:\n" + "\n".join(lines)


def _earlier(items: Sequence[JsonObject], heading: str) -> str:
    """A paragraph of the last summary: ours, which stands behind what the model wrote under the same words."""
    for item in reversed(items):
        text = message_text(item)
        if item.get("role") == "user" and text.startswith(HEAD):
            at = text.rfind(f"\n\n{heading}\n")
            return "" if at < 0 else text[at + 2 :].partition("\n\n")[0].removesuffix(_TAIL).rstrip()
    return ""


def _cut(text: str, most: int) -> str:
    data = text.encode(errors="replace")
    if len(data) <= most:
        return text
    half = most // 2
    middle = f"\n[... {len(data) - 2 * half} bytes left out ...]\n"
    return data[:half].decode(errors="ignore") + middle + data[-half:].decode(errors="ignore")
