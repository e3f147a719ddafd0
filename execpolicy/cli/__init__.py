"""The policy commands. Importing this imports no command line library: `app` is made when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from execpolicy.cli.commands import app as app

__all__ = ["app"]


def __getattr__(name: str) -> object:
    if name == "app":
        from execpolicy.cli.commands import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
