"""Which controls the rules name. Only a rule file that still is what was recorded may speak for the record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from compliance.events import PolicyFile
from execpolicy.decision import Layer
from execpolicy.lang.lower import parse_rules

MOST_BYTES: Final = 16 * 1024 * 1024


def named_controls(
    recorded: Iterable[PolicyFile],
) -> tuple[dict[tuple[str, str], tuple[str, ...]], tuple[str, ...]]:
    """Controls by file and rule id; and the files whose recorded version cannot be read any more."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    unread: list[str] = []
    for file in recorded:
        text = _text(file)
        if text is None:
            unread.append(f"{file.path} ({file.digest[:12]})")
            continue
        for rule in parse_rules(text, file.path, Layer[file.layer.upper()]).file.rules:
            meta = getattr(rule, "meta", None)
            if meta is not None and meta.controls:
                found[file.path, meta.id] = meta.controls
    return found, tuple(sorted(set(unread)))


def _text(file: PolicyFile) -> str | None:
    try:
        path = Path(file.path)
        if file.layer.upper() not in Layer.__members__ or not path.is_file():
            return None
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        return data.decode() if hashlib.sha256(data).hexdigest() == file.digest else None
    except (OSError, ValueError):
        return None
