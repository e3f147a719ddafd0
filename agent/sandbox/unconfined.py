"""No sandbox, by explicit word: the command runs with the power of the agent itself."""

from __future__ import annotations

from agent.sandbox.base import Launch
from agent.sandbox.spec import SandboxSpec
from execpolicy.values import frozen


@frozen
class Unconfined:
    name: str = "none"

    def why_not(self) -> str | None:
        return None

    def wrap(self, launch: Launch, spec: SandboxSpec) -> Launch:
        return launch
