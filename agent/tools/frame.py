"""What the model is shown of a command: a frame of facts, then the output, cut in its middle where it is long."""

from __future__ import annotations

import hashlib

BYTES_PER_TOKEN = 4


def tokens_in(count: int) -> int:
    """Tokens that `count` bytes make, as an estimate."""
    return -(-count // BYTES_PER_TOKEN)


def shorten(text: str, max_tokens: int, omitted_bytes: int = 0) -> str:
    """`text` if it fits, else its head and tail with a note on what is missing.

    `omitted_bytes` is what `text` has already lost.
    """
    data = text.encode(errors="replace")
    if tokens_in(len(data)) <= max_tokens and not omitted_bytes:
        return text
    total = tokens_in(len(data) + omitted_bytes)
    lines = text.count("\n") + (not text.endswith("\n") and text != "")
    note = f"Warning: truncated output (original token count: {total})\n"
    note += f"Total output lines: {lines}{' or more' if omitted_bytes else ''}\n\n"
    budget = max_tokens * BYTES_PER_TOKEN
    if len(data) <= budget:
        return note + text
    head = data[: budget - budget // 2].decode(errors="ignore")
    tail = data[len(data) - budget // 2 :].decode(errors="ignore") if budget > 1 else ""
    return f"{note}{head}…{total - max_tokens} tokens truncated…{tail}"


def frame(call_id: str, seconds: float, ending: str, output: str, output_bytes: int) -> str:
    """The answer to a command call. `output` is shortened already, `output_bytes` counts the whole."""
    chunk = hashlib.sha256(call_id.encode(errors="replace")).hexdigest()[:6]
    return (
        f"Chunk ID: {chunk}\n"
        f"Wall time: {seconds:.4f} seconds\n"
        f"{ending}\n"
        f"Original token count: {tokens_in(output_bytes)}\n"
        f"Output:\n{output}"
    )


def with_news(text: str, news: tuple[str, ...]) -> str:
    """`text`, and behind it what was not let through to the network."""
    if not news:
        return text
    joint = "" if not text or text.endswith("\n") else "\n"
    return text + joint + "".join(f"[network: {line}]\n" for line in news)
