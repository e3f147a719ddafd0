"""The command that allows beforehand what nobody could be asked about, to be run by a person."""

from __future__ import annotations

import shlex

from agent.protocol.events import ApprovalMissing

MOST = 2000  # characters of a command that a person would copy
_COMMAND_TOOL = "exec_command"


def allowing(event: ApprovalMissing, *, project: bool) -> str:
    """As it is typed into a shell; empty where no such command could do it."""
    text = event.subject
    offered = event.offers.project if project else event.offers.user
    if not offered or event.tool != _COMMAND_TOOL or len(text) > MOST or not text.isprintable():
        return ""
    return f"agent approvals allow {'--project ' if project else ''}--script {shlex.quote(text)}"
