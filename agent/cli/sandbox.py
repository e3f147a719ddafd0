"""`agent sandbox -- CMD`: any command, confined as the agent's own are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import AddDir, Folder, Sandbox
from agent.cli.width import settings_of_help

if TYPE_CHECKING:
    from agent.sandbox.spec import Network as Reach
    from agent.sandbox.spec import SandboxSpec

Mode = Annotated[
    Sandbox | None,
    typer.Option(
        "--mode", "--sandbox", "-s", metavar="MODE", help="read-only, workspace-write or full-access."
    ),
]
Network = Annotated[bool, typer.Option("--network", help="Let the command use the network.")]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="HOST[:PORT]",
        help="Let the command reach this host, or `*.HOST`, through a proxy. Repeatable.",
    ),
]
Hide = Annotated[
    list[str] | None,
    typer.Option("--hide", metavar="PATH", help="What the command may not read. Repeatable."),
]
KeepEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--keep-env", metavar="NAME", help="A variable to pass on whatever it looks like. Repeatable."
    ),
]
Fallback = Annotated[
    str | None,
    typer.Option(
        "--fallback",
        metavar="NAME",
        help="Weaker sandbox to use where the strong one cannot be built: landlock.",
    ),
]
Words = Annotated[
    list[str], typer.Argument(metavar="CMD", help="The command and its arguments, behind `--`.")
]

_SETTINGS: dict[str, Any] = {**settings_of_help(), "allow_interspersed_args": False}
app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(context_settings=_SETTINGS)
def sandbox(
    words: Words,
    mode: Mode = None,
    cd: Folder = None,
    add_dir: AddDir = None,
    network: Network = False,
    allow_host: AllowHost = None,
    hide: Hide = None,
    keep_env: KeepEnv = None,
    fallback: Fallback = None,
) -> int:
    """Run one command in the sandbox that the agent's commands get. Its exit status is the command's.

    It is not judged by the policy: whoever types it decides.
    """
    import os
    import sys

    from agent.app.policy import session_spec
    from agent.cli.options import Shared
    from agent.errors import AgentError
    from agent.process.attached import run_attached
    from agent.process.environ import child_environment
    from agent.sandbox.base import Launch
    from agent.sandbox.select import select, weaknesses
    from execpolicy.values import replace

    settings = Shared(cd=cd, sandbox=mode, add_dir=add_dir).settings(interactive=False)
    spec = session_spec(settings, ())
    loopback: tuple[str, ...] = ()
    if allow_host:
        from agent.app.allowed import loopback_of

        loopback = loopback_of(allow_host)
    spec = replace(
        spec,
        hidden=(*spec.hidden, *(os.path.abspath(path) for path in hide or ())),
        network=_reach(spec, network, allow_host or ()),
        loopback=loopback,
    )
    launch = Launch(
        argv=tuple(words),
        cwd=str(settings.cwd),
        env=child_environment(os.environ, allowed=frozenset(keep_env or ())),
    )
    found = select(
        spec.mode, untrusted=(spec.workspace, *spec.writable), fallback=fallback or settings.sandbox_fallback
    )
    for line in weaknesses(found):
        typer.echo(f"agent: weaker sandbox, {found.name}: {line}", err=True)
    wrapped = found.wrap(launch, spec)
    door = None
    if allow_host:
        from agent.app.allowed import allowing

        if wrapped.doorway is None:
            raise AgentError(
                f"{found.name} cannot give a command a network of single hosts", "leave out --allow-host"
            )
        door = allowing(allow_host, str(settings.cwd))
    try:
        return run_attached(wrapped, door)
    except FileNotFoundError as error:
        raise AgentError(f"no such program `{words[0]}`") from error
    finally:
        for line in door.news() if door else ():
            print(f"network: {line}", file=sys.stderr)


def _reach(spec: SandboxSpec, network: bool, hosts: Sequence[str]) -> Reach:
    from agent.errors import AgentError
    from agent.sandbox.spec import Network as Reach

    if not hosts:
        return Reach.FULL if network else spec.network
    if network or spec.network:
        what = "--network" if network else f"the mode {spec.mode.value}"
        raise AgentError(
            f"--allow-host says nothing where {what} opens the whole network", "leave out one of them"
        )
    return Reach.NAMED
