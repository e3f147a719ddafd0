"""Approvals wired: rules that change while a session runs, what a yes is kept as, who reviews."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from agent.app.policy import PolicyInForce
from agent.approvals.answers import Reviewer
from agent.approvals.store import ApprovalFile
from agent.approvals.written import Given
from agent.config.model import Settings
from agent.core.prompts import text
from agent.errors import ApprovalError, ConfigError
from agent.llm.client import ModelClient
from agent.protocol.approvals import Answer, ApprovalRequest, Offer, Offers
from agent.tools.base import Request
from agent.tools.judgement import Judge, Judgement
from agent.tools.offers import Judging, Offering
from execpolicy.engine.policy import Policy
from execpolicy.values import frozen

Stamp = tuple[tuple[int, int, int, int] | None, ...]


def files_of(settings: Settings) -> tuple[ApprovalFile, ...]:
    """The files of approvals that count here. Opening a folder trusts nothing: a trusted project's counts too."""
    user = ApprovalFile.of_user(settings.agent_home)
    if not settings.trusted:
        return (user,)
    return (user, ApprovalFile.of_project(settings.workspace, settings.agent_home))


class LiveRules:
    """A judge over the rules of the moment: what another process approves or takes back holds from the next call on."""

    def __init__(
        self,
        first: PolicyInForce,
        *,
        watched: tuple[Path, ...],
        load: Callable[[], PolicyInForce],
        make: Callable[[PolicyInForce], Judge],
        changed: Callable[[PolicyInForce], None],
    ) -> None:
        """`changed` is told of rules that differ from those before, once they are in force."""
        self._watched = watched
        self._load = load
        self._make = make
        self._changed = changed
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._in_force = first
        self._judge = make(first)

    @property
    def in_force(self) -> PolicyInForce:
        self._refresh()
        return self._in_force

    @property
    def policy(self) -> Policy:
        """The rules in force."""
        return self.in_force.policy

    def judge(self, tool: str, request: Request) -> Judgement:
        """As the gate over the rules of this moment."""
        self._refresh()
        return self._judge.judge(tool, request)

    def _refresh(self) -> None:
        stamp = self._look()
        if stamp == self._stamp:
            return
        with self._lock:
            if stamp == self._stamp:
                return
            try:
                found = self._load()
            except ConfigError as error:
                # A file named for this run became unusable. What was in force may allow what was taken back.
                found = _closed(self._in_force, error)
            self._judge = self._make(found)
            self._in_force = found
            self._stamp = stamp
        self._changed(found)

    def _look(self) -> Stamp:
        found: list[tuple[int, int, int, int] | None] = []
        for path in self._watched:
            try:
                about = os.stat(path)
            except OSError:
                found.append(None)
            else:
                found.append((about.st_mtime_ns, about.st_size, about.st_ino, about.st_ctime_ns))
        return tuple(found)


def _closed(before: PolicyInForce, error: ConfigError) -> PolicyInForce:
    from agent.protocol.events import Warned
    from execpolicy.values import replace

    policy = Policy.build(())
    warning = Warned(f"the rules cannot be read again, so nothing is allowed: {error}", error.help)
    return replace(before, policy=policy, errors=(str(error),), warnings=(warning,))


@frozen(kw_only=True)
class Keeping:
    """What a yes may be kept for in one session, and the files it is kept in."""

    offering: Offering
    files: tuple[ApprovalFile, ...]
    session: str

    def offers(self, tool: str, request: Request, judgement: Judgement) -> Offers:
        return self.offering.offers(tool, request, judgement)

    def keep(self, answer: Answer, offer: Offer, asked: ApprovalRequest, approver: str) -> tuple[str, ...]:
        place = 0 if answer is Answer.USER else 1
        if place >= len(self.files):
            raise ApprovalError("this project is not trusted, so nothing is kept in it")
        given = Given(
            approver=approver or "somebody",
            at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            session=self.session,
            subject=asked.subject,
            reason=asked.reason,
            shown=(offer.extent, *(f"also `{one}`" for one in offer.also)),
        )
        return self.files[place].keep(offer.rules, given)


def keeping(settings: Settings, gate: Judging, session: str, masked: Callable[[str], str]) -> Keeping:
    """The lasting answers of a session."""
    files = files_of(settings)
    no_project = "it is not trusted, see `[projects]` in config.toml"
    if len(files) > 1:
        no_project = files[1].why_not()
    offering = Offering(
        gate=gate, days=settings.approval_days, no_project=no_project, masked=masked, today=date.today
    )
    return Keeping(offering=offering, files=files, session=session)


def reviewer(
    settings: Settings,
    client: ModelClient,
    session: str,
    environment: Callable[[], Mapping[str, str]],
    masked: Callable[[str], str],
    writable: tuple[Path, ...],
) -> Reviewer | None:
    """Who answers before a person does. Raises `ConfigError` where it cannot be trusted to."""
    name = settings.reviewer
    if not name:
        return None
    if name == "model" or name.startswith("model:"):
        model = name.partition(":")[2] or settings.model_in_force
        from agent.approvals.model import ModelReviewer

        return ModelReviewer(
            client,
            model,
            prompt=text("review"),
            session=session,
            seconds=settings.reviewer_seconds,
            most=settings.reviewer_requests,
            tokens=settings.reviewer_tokens,
            masked=masked,
        )
    from agent.approvals.command import REVIEWING, CommandReviewer, program_of

    if REVIEWING in os.environ:
        raise ConfigError(
            "a reviewer runs this, and would be asked by a reviewer in its turn",
            'run the agent of a reviewer with `-c approvals.reviewer=""`, or let a model review for it',
        )

    return CommandReviewer(
        program_of(name, writable, os.environ, settings.cwd),
        session=session,
        seconds=settings.reviewer_seconds,
        most=settings.reviewer_requests,
        environment=environment,
        folder=str(settings.agent_home),
        masked=masked,
    )
