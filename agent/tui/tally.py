"""What one task came to, counted from its events."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.protocol.approvals import NETWORK
from agent.protocol.events import (
    ApprovalAsked,
    CommandEnded,
    Event,
    Judged,
    PatchEnded,
    Status,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
)
from agent.protocol.items import Usage
from execpolicy.decision import Decision


@dataclass(slots=True)
class Tally:
    """Counts of one task. `usage` is of the whole thread."""

    end: str = "ended"
    commands: int = 0
    asked: int = 0
    denied: int = 0
    files: set[str] = field(default_factory=set)
    usage: Usage = Usage()
    failed: bool = True

    def event(self, event: Event) -> None:
        """Count `event`."""
        match event:
            case Judged(verdict=verdict):
                self.asked += verdict.decision is Decision.ASK
                self.denied += verdict.decision is Decision.DENY
            case ApprovalAsked(request):
                self.asked += request.tool == NETWORK  # a connection is judged within the call of its command
            case CommandEnded(status=status):
                self.commands += status is not Status.DECLINED
            case PatchEnded(changes=changes, status=Status.COMPLETED):
                self.files.update(change.path for change in changes)
            case TurnCompleted(usage):
                self.end, self.usage, self.failed = "done", usage, False
            case TurnFailed(usage=usage):
                self.end, self.usage = "failed", usage
            case TurnInterrupted(usage=usage):
                self.end, self.usage = "interrupted", usage
            case _:
                pass

    def line(self, seconds: float) -> str:
        """The counts in one line."""
        tokens = self.usage.input_tokens + self.usage.output_tokens
        parts = (
            self.end,
            _count(self.commands, "command") + " run",
            f"{self.asked} asked",
            f"{self.denied} denied",
            _count(len(self.files), "file") + " changed",
            f"{tokens:,} tokens so far",
            f"{seconds:.1f}s",
        )
        return " · ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
