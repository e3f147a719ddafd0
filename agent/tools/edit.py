"""The patch tool: the freeform envelope `*** Begin Patch` ... `*** End Patch`, applied whole or not at all.

We apply it ourselves, outside any sandbox: the verdict over its files is what confines it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from agent.errors import PatchError
from agent.patch.apply import PatchPlan, apply, plan
from agent.patch.parse import parse_patch
from agent.protocol.events import Event, FileChange, PatchEnded, PatchStarted, Refusal, Status
from agent.protocol.items import JsonObject
from agent.tools.base import BadCall, ChangeFiles, Emit, Grant, Prepared, Ran, ToolCall

NAME = "apply_patch"
_GRAMMAR = r"""
start: begin_patch hunk+ end_patch
begin_patch: "*** Begin Patch" LF
end_patch: "*** End Patch" LF?

hunk: add_hunk | delete_hunk | update_hunk
add_hunk: "*** Add File: " filename LF add_line+
delete_hunk: "*** Delete File: " filename LF
update_hunk: "*** Update File: " filename LF change_move? change?

filename: /(.+)/
add_line: "+" /(.*)/ LF -> line

change_move: "*** Move to: " filename LF
change: (change_context | change_line)+ eof_line?
change_context: ("@@" | "@@ " /(.+)/) LF
change_line: ("+" | "-" | " ") /(.*)/ LF
eof_line: "*** End of File" LF

%import common.LF
""".lstrip()
_LETTERS = {"add": "A", "delete": "D", "update": "M"}


class PatchTool:
    """`apply_patch`."""

    name = NAME
    exclusive = True

    def __init__(self, cwd: str) -> None:
        self._cwd = cwd

    @property
    def schema(self) -> JsonObject:
        return {
            "type": "custom",
            "name": NAME,
            "description": "Changes files. The input is the patch itself, never JSON. Paths are relative to the "
            "session's folder. It is judged by the user's policy first and applied whole or not at all.",
            "format": {"type": "grammar", "syntax": "lark", "definition": _GRAMMAR},
        }

    def instead(self, call: ToolCall) -> ToolCall | None:
        return None

    def read(self, call: ToolCall) -> Prepared | BadCall:
        if not call.custom:
            return BadCall(f"`{NAME}` takes the patch itself as plain text, not JSON arguments")
        cwd = call.cwd or self._cwd
        try:
            return _PreparedPatch(call, cwd, plan(parse_patch(call.payload), Path(cwd)))
        except PatchError as error:
            return BadCall(_joined(f"{NAME} verification failed: {error}", error.help))


@dataclass(frozen=True, slots=True)
class _PreparedPatch:
    call: ToolCall
    cwd: str
    plan: PatchPlan

    @property
    def request(self) -> ChangeFiles:
        return ChangeFiles(
            accesses=self.plan.accesses,
            cwd=self.cwd,
            subject=f"{NAME}: {', '.join(self._lines())}",
            diff=self.plan.diff,
        )

    async def run(self, grant: Grant, emit: Emit) -> Ran:
        emit(PatchStarted(self.call.id, self._changes()))
        started = time.monotonic()
        try:
            apply(self.plan)
        except PatchError as error:
            message = _joined(f"{NAME} failed, nothing was changed: {error}", error.help)
            return self._ran(message, message, Status.FAILED, time.monotonic() - started)
        seconds = time.monotonic() - started
        done = "\n".join(("Success. Updated the following files:", *self._lines(), ""))
        output = f"Exit code: 0\nWall time: {seconds:.1f} seconds\nOutput:\n{done}"
        return self._ran(output, "", Status.COMPLETED, seconds)

    def _ran(self, output: str, message: str, status: Status, seconds: float) -> Ran:
        diff = self.plan.diff if status is Status.COMPLETED else ""
        event = PatchEnded(self.call.id, self._changes(), status, message, diff)
        return Ran(output=output, event=event, status=status, seconds=seconds)

    def not_run(self, status: Status, refusal: Refusal | None, message: str) -> Event:
        return PatchEnded(self.call.id, self._changes(), status, message, refusal=refusal)

    def _changes(self) -> tuple[FileChange, ...]:
        return tuple(FileChange(change.path, change.kind) for change in self.plan.changes)

    def _lines(self) -> list[str]:
        return [
            f"{_LETTERS[change.kind]} {os.path.relpath(change.path, self.cwd)}" for change in self._changes()
        ]


def _joined(message: str, help: str) -> str:
    return f"{message}\n{help}" if help else message
