"""Where a command would run, the rules in force there, and what is known there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from execpolicy.cli.asked import Asked, Format
from execpolicy.decision import Layer, SandboxMode
from execpolicy.diagnostics import Diagnostic, Severity
from execpolicy.engine.context import CheckContext, FactValue
from execpolicy.values import frozen, replace

if TYPE_CHECKING:
    from execpolicy.bundle.load import Loaded


@frozen
class Place:
    """Where a command would run, and where the agent keeps its state."""

    folder: str
    workspace: str
    home: str

    @staticmethod
    def of(folder: str) -> Place | None:
        """None: there is no such folder."""
        from execpolicy.bundle.machine import workspace_of

        try:
            home = os.path.abspath(os.environ.get("AGENT_HOME") or os.path.expanduser("~/.agent"))
            here = os.path.realpath(folder, strict=True)
        except (OSError, ValueError):
            return None
        if not os.path.isdir(here):
            return None
        return Place(here, workspace_of(here, home), home)

    @staticmethod
    def at(folder: str, home: str) -> Place:
        """The place of a folder that need not be there."""
        from execpolicy.bundle.machine import workspace_of

        return Place(folder, workspace_of(folder, home), home)


@frozen(kw_only=True)
class Given:
    """What the settings of the agent say of the commands of a place."""

    sandbox: SandboxMode = SandboxMode.WORKSPACE_WRITE
    network: bool = False
    writable: tuple[str, ...] = ()  # beside the workspace and the temporary folders
    exclude_slash_tmp: bool = False  # as in `Session`
    exclude_tmpdir: bool = False


_NOTHING = Given()
# The settings of a place; a sentence where they cannot be used.
SettingsOf = Callable[["Place"], "Given | str"]


def no_settings(place: Place) -> Given | str:
    """For who asks the policy alone: what holds where nobody says anything."""
    return Given()


def load(asked: Asked, place: Place) -> Loaded | None:
    """The policy in force; None once its errors are told.

    A file named by hand that is broken or missing is fatal; of another it is told and the rest is in force.
    """
    from execpolicy.bundle.load import PolicySource, load_policy
    from execpolicy.bundle.machine import is_trusted, layer_sources

    if asked.rules or asked.profiles:
        sources = [PolicySource(path, Layer.SESSION) for path in asked.rules]
        if asked.profiles:
            from execpolicy.bundle.shipped import NoProfile, profile_sources

            try:
                shipped = [source for name in asked.profiles for source in profile_sources(name)]
            except NoProfile as error:
                failed(asked.format, str(error))
                return None
            sources += dict.fromkeys(shipped)
    else:
        rules = os.path.join(place.workspace, ".agent", "rules")
        trusted = os.path.isdir(rules) and is_trusted(place.workspace, place.home)
        sources = layer_sources(place.home, place.workspace, trusted=trusted)
    loaded = load_policy(sources, cache_dir=os.path.join(place.home, "cache", "policy"))
    fatal = bool(asked.rules or asked.profiles) and bool(loaded.broken)
    tell(loaded.diagnostics, asked.format, fatal=fatal)
    return None if fatal else loaded


def tell(diagnostics: Sequence[Diagnostic], form: Format, *, fatal: bool) -> None:
    """Every diagnostic: with carets on standard error, or as objects where an object was asked for."""
    if not diagnostics:
        return
    from execpolicy.diagnostics import render, to_json

    if form is Format.JSON and fatal:
        print(
            json.dumps(
                {"error": "rule files", "diagnostics": [to_json(one) for one in diagnostics]}, indent=2
            )
        )
        return
    for one in diagnostics:
        print(render(one) + "\n", file=sys.stderr)
    errors = sum(one.severity is Severity.ERROR for one in diagnostics)
    if errors:
        print(f"{errors} error{'s' if errors > 1 else ''} in rule files", file=sys.stderr)


def context_of(asked: Asked, place: Place, loaded: Loaded, given: Given = _NOTHING) -> CheckContext:
    """What the agent would know there.

    Facts of one run, `interactive`, `approval_policy` and `model`, are not known unless they are given: then no
    allow relies on them and no deny is switched off by them.
    """
    from execpolicy.bundle.session import Session, context_in

    session = Session(
        folder=place.folder,
        workspace=place.workspace,
        agent_home=place.home,
        sandbox=given.sandbox,
        network=given.network,
        writable=given.writable,
        exclude_slash_tmp=given.exclude_slash_tmp,
        exclude_tmpdir=given.exclude_tmpdir,
        rule_files=tuple(file.path for file in loaded.files),
    )
    facts: dict[str, FactValue] = {}
    for fact in asked.facts:
        name, _, value = fact.partition("=")
        facts[name] = _fact(value)
    return with_facts(context_in(session, place.folder, os.environ), facts)


def _fact(text: str) -> FactValue:
    if text in ("true", "false"):
        return text == "true"
    return tuple(text.split(",")) if "," in text else text


def with_facts(context: CheckContext, facts: dict[str, FactValue]) -> CheckContext:
    """`context` where `facts` hold instead of what the machine says."""
    if not facts:
        return context
    sandbox = facts.pop("sandbox", None)
    groups = facts.get("groups")
    if isinstance(groups, str):
        facts["groups"] = (groups,)
    today = facts.pop("today", None)
    return replace(
        context,
        facts={**context.facts, **facts},
        sandbox=SandboxMode(sandbox) if sandbox in {mode.value for mode in SandboxMode} else context.sandbox,
        today=today if isinstance(today, str) else context.today,
    )


def failed(form: Format, message: str) -> None:
    """Tell what is wrong."""
    if form is Format.JSON:
        print(json.dumps({"error": message}))
    else:
        print(f"error: {message}", file=sys.stderr)
