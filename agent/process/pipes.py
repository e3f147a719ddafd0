"""Lets go of the pipes to a process, also of those that somebody else holds open."""

from __future__ import annotations

import asyncio


def let_go(process: asyncio.subprocess.Process) -> None:
    """Close our ends. Without it `wait` waits for the pipes too, and they outlive the loop."""
    # asyncio.subprocess has no public way: https://docs.python.org/3/library/asyncio-subprocess.html
    process._transport.close()  # type: ignore[attr-defined]  # it is an attribute of the implementation
