"""The patch tool: the freeform envelope `*** Begin Patch` ... `*** End Patch`, applied whole or not at all.

We apply it ourselves, outside any sandbox: the verdict over its files is what confines it.
"""

from __future__ import annotations

import os
import time
from typing import assert_never

from agent.errors import PatchError
from agent.patch.apply import apply
from agent.patch.parse import AddFile, DeleteFile, Patch, UpdateFile, parse_patch
from agent.patch.plan import PatchPlan, accesses, plan
from agent.protocol.events import Event, FileChange, PatchEnded, PatchStarted, Refusal, Status
from agent.protocol.items import JsonObject
from agent.tools.base import BadCall, ChangeFiles, Emit, Grant, Prepared, Ran, ToolCall
from execpolicy.facts import Access

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
            patch = parse_patch(call.payload)
            return _PreparedPatch(call, cwd, patch, (*accesses(patch, cwd), *_read_first(patch, cwd)))
        except (PatchError, ValueError) as error:
            return BadCall(_verification(error))


class _PreparedPatch:
    """Judged by its paths alone. Only then are the files read: what is said when it does not fit quotes them."""

    def __init__(
        self, call: ToolCall, cwd: str, patch: Patch, touched: tuple[tuple[str, Access], ...]
    ) -> None:
        self._call = call
        self._cwd = cwd
        self._patch = patch
        self._touched = touched
        self._plan: PatchPlan | None = None

    @property
    def request(self) -> ChangeFiles:
        return ChangeFiles(
            accesses=self._touched,
            cwd=self._cwd,
            subject=f"{NAME}: {', '.join(self._lines())}",
            diff="" if self._plan is None else self._plan.diff,
        )

    def check(self) -> str:
        try:
            self._plan = self._judged_plan()
        except (PatchError, OSError) as error:
            return _verification(error)
        return ""

    def _judged_plan(self) -> PatchPlan:
        """INVARIANT: what is written lies where it was judged to lie. A link may have been put in the way since."""
        found = plan(self._patch, self._cwd)
        if not set(found.accesses) <= set(self._touched):
            raise PatchError("a path leads elsewhere than when it was judged", help="make the patch anew")
        return found

    async def run(self, grant: Grant, emit: Emit) -> Ran:
        emit(PatchStarted(self._call.id, self._changes()))
        started = time.monotonic()
        try:
            apply(self._plan or self._judged_plan())
        except PatchError as error:
            message = _joined(f"{NAME} failed, nothing was changed: {error}", error.help)
            return self._ran(message, message, Status.FAILED, time.monotonic() - started)
        seconds = time.monotonic() - started
        done = "\n".join(("Success. Updated the following files:", *self._lines(), ""))
        output = f"Exit code: 0\nWall time: {seconds:.1f} seconds\nOutput:\n{done}"
        return self._ran(output, "", Status.COMPLETED, seconds)

    def _ran(self, output: str, message: str, status: Status, seconds: float) -> Ran:
        diff = self._plan.diff if self._plan is not None and status is Status.COMPLETED else ""
        event = PatchEnded(self._call.id, self._changes(), status, message, diff)
        return Ran(output=output, event=event, status=status, seconds=seconds)

    def not_run(self, status: Status, refusal: Refusal | None, message: str) -> Event:
        return PatchEnded(self._call.id, self._changes(), status, message, refusal=refusal)

    def _changes(self) -> tuple[FileChange, ...]:
        """A move is an update of the old path."""
        return tuple(
            FileChange(os.path.normpath(os.path.join(self._cwd, change.path)), _kind(change))
            for change in self._patch.changes
        )

    def _lines(self) -> list[str]:
        return [f"{_LETTERS[_kind(change)]} {_shown(change)}" for change in self._patch.changes]


def _read_first(patch: Patch, cwd: str) -> tuple[tuple[str, Access], ...]:
    """The files that have to be read to be changed."""
    return tuple(
        (os.path.realpath(os.path.join(cwd, change.path)), Access.READ)
        for change in patch.changes
        if isinstance(change, UpdateFile)
    )


def _kind(change: AddFile | DeleteFile | UpdateFile) -> str:
    match change:
        case AddFile():
            return "add"
        case DeleteFile():
            return "delete"
        case UpdateFile():
            return "update"
        case _:
            assert_never(change)


def _shown(change: AddFile | DeleteFile | UpdateFile) -> str:
    return (change.move_to if isinstance(change, UpdateFile) else None) or change.path


def _verification(error: Exception) -> str:
    return _joined(
        f"{NAME} verification failed: {error}", error.help if isinstance(error, PatchError) else ""
    )


def _joined(message: str, help: str) -> str:
    return f"{message}\n{help}" if help else message
