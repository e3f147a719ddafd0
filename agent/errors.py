"""The exception tree of the package. Each carries what a person needs: what is wrong and what to do."""

from __future__ import annotations


class AgentError(Exception):
    """Base of everything this package raises. `help` is the remedy, one line."""

    exit_status = 1

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


class UsageError(AgentError):
    """The call itself is wrong."""

    exit_status = 2


class ConfigError(AgentError):
    """A setting or a state folder cannot be used."""


class ModelError(AgentError):
    """The model service did not answer as promised, and trying again will not help."""


class TransientModelError(ModelError):
    """The model service failed in a way that may pass.

    `retry_after`: seconds the service asked for. `guidance`: what the model is told with the next try.
    `refused`: no answer had begun.
    """

    def __init__(
        self,
        message: str,
        help: str = "",
        retry_after: float | None = None,
        guidance: str = "",
        *,
        refused: bool = False,
    ) -> None:
        super().__init__(message, help)
        self.retry_after = retry_after
        self.guidance = guidance
        self.refused = refused


class SandboxUnavailable(AgentError):
    """This machine cannot confine a command as asked; nothing was run."""


class SessionError(AgentError):
    """A stored session cannot be read, written or found."""


class ApprovalError(AgentError):
    """A stored approval cannot be read, kept or taken back."""


class PatchError(AgentError):
    """A patch that cannot be read or does not fit the files."""
