"""The plan tool: the model's own list of steps, shown to the user. It touches nothing."""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.protocol.events import CallFailed, Event, PlanStep, PlanUpdated, Refusal, Status
from agent.protocol.items import JsonObject
from agent.tools.arguments import read_arguments
from agent.tools.base import BadCall, Emit, Grant, Prepared, Ran, ToolCall, UseTool
from execpolicy.values import frozen

NAME = "update_plan"


class _Step(msgspec.Struct, frozen=True):
    step: str
    status: Literal["pending", "in_progress", "completed"]


class _Arguments(msgspec.Struct, frozen=True):
    plan: list[_Step]
    explanation: str | None = None


@frozen
class _PreparedPlan:
    call: ToolCall
    cwd: str
    steps: tuple[PlanStep, ...]
    explanation: str

    @property
    def request(self) -> UseTool:
        return UseTool(
            subject=f"{NAME}: {len(self.steps)} steps",
            cwd=self.cwd,
            arguments={
                "explanation": self.explanation,
                "plan": [{"step": step.step, "status": step.status} for step in self.steps],
            },
        )

    def check(self) -> str:
        return ""

    async def run(self, grant: Grant, emit: Emit) -> Ran:
        event = PlanUpdated(self.steps, self.explanation, self.call.id)
        return Ran(output="Plan updated", event=event, status=Status.COMPLETED)

    def not_run(self, status: Status, refusal: Refusal | None, message: str) -> Event:
        return CallFailed(self.call.id, NAME, message, refusal)


class PlanTool:
    """`update_plan`."""

    name = NAME
    exclusive = False

    def __init__(self, cwd: str) -> None:
        self._cwd = cwd

    @property
    def schema(self) -> JsonObject:
        return {
            "type": "function",
            "name": NAME,
            "description": "Keeps the list of steps of a longer task. Give the whole list each time; "
            "at most one step is in_progress.",
            "strict": False,
            "parameters": {
                "type": "object",
                "properties": {
                    "explanation": {"type": "string", "description": "Why the plan changed, if it did."},
                    "plan": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "step": {"type": "string"},
                                "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
                            },
                            "required": ["step", "status"],
                            "additionalProperties": False,
                        },
                    },
                },
                "required": ["plan"],
                "additionalProperties": False,
            },
        }

    def instead(self, call: ToolCall) -> ToolCall | None:
        return None

    def read(self, call: ToolCall) -> Prepared | BadCall:
        arguments = read_arguments(call, _Arguments)
        if isinstance(arguments, BadCall):
            return arguments
        steps = tuple(PlanStep(step.step, step.status) for step in arguments.plan)
        return _PreparedPlan(call, self._cwd, steps, arguments.explanation or "")
