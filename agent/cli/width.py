"""How help texts are set."""

from __future__ import annotations

from typing import Any

WIDTH = 100


def settings_of_help() -> dict[str, Any]:
    """The same text at every width of terminal."""
    return {"help_option_names": ["-h", "--help"], "terminal_width": WIDTH, "max_content_width": WIDTH}
