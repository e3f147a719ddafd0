"""The numbers that a model may give with a command: how long to wait, how much to show."""

from __future__ import annotations

from agent.tools.base import BadCall


def bounded(tool: str, **numbers: tuple[float | None, float, float, float]) -> dict[str, float] | BadCall:
    """Each number (given, default, least, most) within its bounds."""
    found: dict[str, float] = {}
    for name, (given, default, least, most) in numbers.items():
        if given != given:  # NaN compares with nothing: no bound would hold
            return BadCall(f"{tool} failed: `{name}` has to be a number")
        found[name] = min(max(default if given is None else given, least), most)
    return found
