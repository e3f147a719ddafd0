"""A raw value becomes a typed one, or a sentence that says why not."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from agent.config.asking import AskPolicy, granular, read_policy
from agent.config.keys import Key, Kind
from execpolicy.decision import SandboxMode
from execpolicy.values import frozen

Texts = tuple[tuple[str, str], ...]
Value = str | int | float | bool | SandboxMode | tuple[Path, ...] | Texts

# Codex's spelling of the widest mode is understood as well.
_MODES = {mode.value: mode for mode in SandboxMode} | {"danger-full-access": SandboxMode.FULL_ACCESS}
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_URL = re.compile(r"https?://[^\s/]+\S*\Z")


@frozen
class Bad:
    """Why a value cannot be used."""

    why: str


def sandbox_mode(text: str) -> SandboxMode | None:
    """The mode that `text` names."""
    return _MODES.get(text)


def read_value(key: Key, raw: object, base: Path) -> Value | Bad:
    """`raw` as `key` wants it. Relative paths are relative to `base`."""
    match key.kind:
        case Kind.TEXT:
            return raw if isinstance(raw, str) and raw.strip() and _is_unicode(raw) else _bad(key, raw)
        case Kind.URL:
            return raw.rstrip("/") if isinstance(raw, str) and _is_address(raw) else _bad(key, raw)
        case Kind.BOOLEAN:
            return raw if isinstance(raw, bool) else _bad(key, raw)
        case Kind.SANDBOX:
            mode = _MODES.get(raw) if isinstance(raw, str) else None
            return mode if mode is not None else _bad(key, raw)
        case Kind.CHOICE:
            return raw if isinstance(raw, str) and raw in key.choices else _bad(key, raw)
        case Kind.APPROVAL:
            return _approval(key, raw)
        case Kind.TEXTS:
            if not isinstance(raw, dict) or not all(
                _HEADER.fullmatch(name) and isinstance(one, str) and one.isprintable()
                for name, one in raw.items()
            ):
                return _bad(key, raw)
            return tuple((str(name), one) for name, one in raw.items())
        case Kind.PATHS:
            if not isinstance(raw, list) or not all(isinstance(one, str) and one for one in raw):
                return _bad(key, raw)
            return tuple(absolute(one, base) for one in raw)
        case Kind.INTEGER:
            if isinstance(raw, bool) or not isinstance(raw, int):
                return _bad(key, raw)
            return raw if key.least <= raw <= key.most else _range(key, raw)
        case Kind.MILLISECONDS:
            if isinstance(raw, bool) or not isinstance(raw, int | float):
                return _bad(key, raw)
            if not key.least <= raw <= key.most:
                return _range(key, raw)
            return raw / 1000


def _approval(key: Key, raw: object) -> str | Bad:
    if isinstance(raw, dict):
        found = granular(raw)
        return found.text if isinstance(found, AskPolicy) else Bad(found)
    try:
        return read_policy(raw).text if isinstance(raw, str) else _bad(key, raw)
    except ValueError:
        return _bad(key, raw)


def _is_unicode(text: str) -> bool:
    """Bytes of the command line that are no UTF-8 become halves of characters, which no request can hold."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _is_address(text: str) -> bool:
    if not _URL.match(text) or not text.isprintable():
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0  # both are read only when they are asked for
    except ValueError:
        return False


def absolute(text: str, base: Path) -> Path:
    """`text` as an absolute path; `~` is the user's home."""
    return Path(os.path.abspath(base / Path(text).expanduser()))


def _bad(key: Key, raw: object) -> Bad:
    return Bad(f"`{key.name}` must be {key.wanted}, not `{_short(raw)}`")


def _range(key: Key, raw: float) -> Bad:
    most = "" if key.most == float("inf") else f" to {key.most:g}"
    return Bad(f"`{key.name}` must lie in {key.least:g}{most}, not `{raw}`")


def _short(raw: object) -> str:
    text = str(raw).replace("\n", " ")
    return text if len(text) <= 40 else text[:39] + "…"
