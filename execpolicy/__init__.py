"""Decides what a command may do: text and rules in, a verdict with its why out.

Every name is imported when it is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from execpolicy.decision import Decision as Decision
    from execpolicy.decision import Layer as Layer
    from execpolicy.decision import Verdict as Verdict
    from execpolicy.engine.check import check as check
    from execpolicy.engine.check import check_argv as check_argv
    from execpolicy.engine.check import check_files as check_files
    from execpolicy.engine.check import check_host as check_host
    from execpolicy.engine.check import check_tool as check_tool
    from execpolicy.engine.context import CheckContext as CheckContext
    from execpolicy.engine.policy import Policy as Policy
    from execpolicy.errors import ExecPolicyError as ExecPolicyError
    from execpolicy.errors import PolicyError as PolicyError

_PLACES = {
    "CheckContext": "engine.context",
    "Decision": "decision",
    "ExecPolicyError": "errors",
    "Layer": "decision",
    "Policy": "engine.policy",
    "PolicyError": "errors",
    "Verdict": "decision",
    "check": "engine.check",
    "check_argv": "engine.check",
    "check_files": "engine.check",
    "check_host": "engine.check",
    "check_tool": "engine.check",
}

__all__ = [
    "CheckContext",
    "Decision",
    "ExecPolicyError",
    "Layer",
    "Policy",
    "PolicyError",
    "Verdict",
    "check",
    "check_argv",
    "check_files",
    "check_host",
    "check_tool",
]


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{place}"), name)
