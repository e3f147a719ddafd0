"""The policy in force, and what a person must know about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from agent.app import confinement
from agent.config.asking import Mode, read_policy
from agent.config.model import Settings
from agent.errors import ConfigError
from agent.protocol.events import Warned
from agent.sandbox.spec import Network, SandboxSpec
from agent.tools.judgement import Owner, facts_of
from execpolicy.bundle.load import FileUse, Loaded, PolicySource, load_policy
from execpolicy.bundle.machine import layer_sources
from execpolicy.bundle.session import Session, context_in, protected_places
from execpolicy.bundle.shipped import NoProfile, profile_sources
from execpolicy.decision import Layer, SandboxMode
from execpolicy.diagnostics import Diagnostic, render
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The compiled rules, where they came from, and the warnings to show at the start."""

    policy: Policy
    files: tuple[FileUse, ...]
    errors: tuple[str, ...]  # one line each, for the record
    warnings: tuple[Warned, ...]


def load(settings: Settings) -> PolicyInForce:
    """All layers. A file named for this run that cannot be used is fatal, with everything that is wrong."""
    sources = [
        *_shipped(settings.rules_profile),
        *layer_sources(
            settings.agent_home, settings.workspace, settings.policy_files, trusted=settings.trusted
        ),
    ]
    loaded = load_policy(sources, cache_dir=settings.cache)
    named = {str(path) for path in settings.policy_files}
    broken = [file for file in loaded.broken if file.layer is Layer.SESSION and file.path in named]
    if broken:
        texts = [
            render(found) for found in loaded.diagnostics if found.source.path in {f.path for f in broken}
        ]
        raise ConfigError(
            "\n\n".join((*texts, f"{len(broken)} rule file(s) named for this run cannot be used")),
            "repair the rules: `agent policy check` shows the same errors",
        )
    return PolicyInForce(
        loaded.policy,
        loaded.files,
        tuple(_line(found) for found in loaded.diagnostics),
        tuple(_warnings(settings, loaded)),
    )


def digest(files: tuple[FileUse, ...]) -> str:
    """One digest over all rules in force: verdicts in the record refer to it."""
    text = "\n".join(f"{file.layer.word} {file.digest} {file.usable} {file.path}" for file in files)
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _shipped(name: str) -> tuple[PolicySource, ...]:
    try:
        return profile_sources(name) if name else ()
    except NoProfile as error:
        raise ConfigError(str(error), f"or define [profiles.{name}] in config.toml") from None


def _warnings(settings: Settings, loaded: Loaded) -> list[Warned]:
    warnings = [Warned(render(found)) for found in loaded.diagnostics]
    warnings += [
        Warned(f"`{file.path}` is broken: what it allows is not allowed, what it denies stays denied")
        for file in loaded.broken
    ]
    if not loaded.files:
        what = "every command is asked about" if settings.interactive else "every command is refused"
        warnings.append(
            Warned(
                f"there is no policy: {what}",
                f"try --profile standard, name a rule file with --policy, or put one into {settings.rules}",
            )
        )
    return warnings


def _line(found: Diagnostic) -> str:
    line, column = found.source.position(found.span.start)
    return f"{found.source.path}:{line}:{column}: {found.severity.value}[{found.code}]: {found.message}"


def session_spec(settings: Settings, files: tuple[FileUse, ...]) -> SandboxSpec:
    """What every command of the session is confined to, unless a verdict says otherwise."""
    workspace = str(settings.workspace)
    home = str(settings.agent_home)
    holds_us = settings.workspace.is_relative_to(home) or settings.cwd.is_relative_to(home)
    return SandboxSpec(
        mode=settings.sandbox,
        workspace=workspace,
        writable=tuple(map(str, settings.writable)),
        protected=tuple(
            dict.fromkeys(
                (
                    f"{workspace}/.git",
                    f"{workspace}/.agent",
                    home,
                    *protected_places(session_of(settings, files), os.environ),
                )
            )
        ),
        hidden=() if holds_us else (home,),
        network=Network.FULL
        if settings.network or settings.sandbox is SandboxMode.FULL_ACCESS
        else Network.NONE,
        exclude_slash_tmp=settings.exclude_slash_tmp,
        exclude_tmpdir=settings.exclude_tmpdir,
        limits=confinement.limits_of(settings),
    )


def session_of(settings: Settings, files: tuple[FileUse, ...]) -> Session:
    """The session as deciding sees it."""
    return Session(
        folder=str(settings.cwd),
        workspace=str(settings.workspace),
        agent_home=str(settings.agent_home),
        sandbox=settings.sandbox,
        network=settings.network,
        writable=tuple(map(str, settings.writable)),
        exclude_slash_tmp=settings.exclude_slash_tmp,
        exclude_tmpdir=settings.exclude_tmpdir,
        rule_files=tuple(file.path for file in files),
        facts={
            "interactive": settings.interactive,
            "model": settings.model_in_force,
            "approval_policy": _approval_policy(settings),
            **facts_of(
                read_policy(settings.approval_policy), Owner(settings.most_sandbox, settings.most_network)
            ),
        },
    )


def _approval_policy(settings: Settings) -> str:
    """The mode in force: where nobody answers, it is `never`."""
    if not settings.interactive and not settings.reviewer:
        return Mode.NEVER.value
    return read_policy(settings.approval_policy).mode.value


def context_maker(
    settings: Settings, files: tuple[FileUse, ...], environ: Callable[[], Mapping[str, str]]
) -> Callable[[str], CheckContext]:
    """The facts of the moment for a folder. `environ` is what a command will see."""
    session = session_of(settings, files)
    return lambda cwd: context_in(session, cwd, environ())
