"""SHA-256 of little and of much: the library behind `hashlib` takes longer to load than it saves on a few kilobytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LITTLE = 1 << 18  # bytes; beyond, the faster code of `hashlib` is worth loading


def sha256(data: bytes | memoryview) -> bytes:
    """The digest of `data`."""
    return _slow()(data) if len(data) <= LITTLE else _fast(data)


def _fast(data: bytes | memoryview) -> bytes:
    import hashlib

    return hashlib.sha256(data).digest()


def _slow() -> Callable[[bytes | memoryview], bytes]:
    """The interpreter's own code, under the name that this version gives it."""
    from importlib import import_module

    for name in ("_sha256", "_sha2"):
        try:
            made = import_module(name).sha256
        except (ImportError, AttributeError):
            continue
        return lambda data: made(data).digest()
    return _fast
