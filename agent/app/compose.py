"""Settings to objects: the one place that wires. Everything that is missing or broken is told before a turn."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__
from agent.app import approvals, confinement, policy
from agent.app.approvals import LiveRules
from agent.app.bundles import bundles_of
from agent.app.curtain import Audience, Curtain
from agent.app.host import Host, Stored
from agent.app.masking import Masking, masking
from agent.app.observed import ObservedJudge, ObservedModel
from agent.app.underling import run_helper
from agent.config.asking import read_policy
from agent.config.load import ensure_home
from agent.config.model import CODEX_KEY_VARIABLE, Settings
from agent.core import instructions
from agent.core.context import sound
from agent.core.prompts import Surroundings, opening
from agent.core.thread import Outbox, Thread
from agent.core.turn import TurnParts
from agent.errors import ConfigError, SandboxUnavailable
from agent.llm.client import ModelClient
from agent.llm.responses import ResponsesClient
from agent.llm.retry import Backoff, RetryingClient
from agent.process.environ import child_environment
from agent.protocol.events import ThreadStarted, Warned
from agent.protocol.items import JsonObject
from agent.sandbox.base import Door, Sandbox
from agent.sandbox.select import select
from agent.sandbox.spec import Network, SandboxSpec
from agent.tools.agents import Helpers
from agent.tools.approval import ApprovalDesk
from agent.tools.base import Emit, Tool, UseTool
from agent.tools.deposition import Asker, Witness
from agent.tools.dispatch import Dispatcher
from agent.tools.edit import PatchTool
from agent.tools.gate import Gate
from agent.tools.image import ImageTool
from agent.tools.judgement import Judge, Owner
from agent.tools.plan import PlanTool
from agent.tools.reach import reach
from agent.tools.registry import Registry
from agent.tools.running import RunningCommands
from agent.tools.shell import Doors, ShellLimits, ShellTool
from agent.tools.stdin import InputTool
from compliance import events as audit
from compliance.errors import AuditError
from compliance.in_force import InForce, last_loaded
from compliance.log import AuditLog, Effort
from compliance.otel.telemetry import Telemetry, telemetry_from_environment
from compliance.redact import Redactor
from compliance.signing import Checkpointer, NamedWitness, checkpointer
from compliance.sink import AuditSink, FanOut
from execpolicy.bundle.session import temp_folders
from execpolicy.decision import Decision, SandboxMode
from execpolicy.engine.policy import Policy
from execpolicy.values import replace

if TYPE_CHECKING:
    from agent.app.network import Networks

_BASH = ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/run/current-system/sw/bin/bash")


def compose(settings: Settings, audience: Audience = Audience.PERSON) -> Host:
    """A host for `settings`. Raises `AgentError` for what would keep every thread from working."""
    ensure_home(settings.agent_home)
    loaded = policy.load(settings)
    sandboxes = _sandboxes(settings)
    spec = policy.session_spec(settings, loaded.files)
    told = confinement.try_out(settings, sandboxes(settings.sandbox), spec)
    in_force = policy.PolicyInForce(loaded.policy, loaded.files, loaded.errors, (*told, *loaded.warnings))
    bash = _bash()
    environment = cache(lambda: _child_environment(settings))

    def wire(stored: Stored, stack: AsyncExitStack) -> Thread:
        return _thread(settings, in_force, sandboxes, bash, environment, stored, stack, audience)

    return Host(settings, wire)


def _thread(
    settings: Settings,
    in_force: policy.PolicyInForce,
    sandboxes: Callable[[SandboxMode], Sandbox],
    bash: str,
    environment: Callable[[], Mapping[str, str]],
    stored: Stored,
    stack: AsyncExitStack,
    audience: Audience,
) -> Thread:
    found = instructions.find(
        settings.agent_home, settings.workspace, settings.cwd, settings.project_doc_max_bytes
    )
    outbox = Outbox()
    hiding = _masking(settings, in_force)
    hide = hiding.redactor
    if audience is Audience.PERSON or settings.redact_output == "all":
        outbox.shown = Curtain(hide, hiding.masks).shown
    spec = policy.session_spec(settings, in_force.files)
    troubles: list[str] = []
    telemetry = telemetry_from_environment(os.environ, troubles.append, __version__)
    rules_told = InForce(last_loaded(settings.audit, str(settings.workspace)))
    sink = _record(settings, rules_told, in_force, hide, stored, telemetry, outbox.emit, stack)
    model: ModelClient = _model(settings, stack)
    if telemetry is not None:
        model = ObservedModel(model, telemetry, _provider(settings))
    asking = read_policy(settings.approval_policy)
    owner = Owner(settings.most_sandbox, settings.most_network)

    def witness(rules: policy.PolicyInForce) -> Witness:
        return Witness(
            lambda one, context, read: Gate(one, context, spec, read=read, asking=asking, owner=owner),
            rules.policy,
            policy.context_maker(settings, rules.files, environment),
        )

    def changed(rules: policy.PolicyInForce) -> None:
        for warning in rules.warnings:
            outbox.emit(warning)
        try:
            for event in rules_told.told(_policy_loaded(stored, rules)):
                sink.record(event)
        except AuditError as error:  # the next verdict is not recorded either, and then nothing runs
            outbox.emit(Warned(f"the audit record cannot be written: {error}", error.help))

    gate = LiveRules(
        in_force,
        watched=tuple(one.path for one in approvals.files_of(settings)),
        load=lambda: policy.load(settings),
        make=witness,
        changed=changed,
    )
    context = policy.context_maker(settings, in_force.files, environment)
    trial = Gate(lambda: gate.policy, context, spec, asking=asking, owner=owner)
    desk = ApprovalDesk(
        outbox.emit,
        attended=settings.interactive,
        policy=asking,
        reviewer=approvals.reviewer(
            settings, model, stored.thread_id, environment, hide.text, _model_writable(settings)
        ),
        lasting=approvals.keeping(settings, trial, stored.thread_id, hide.text),
    )
    running = RunningCommands()
    networks: list[Networks] = []

    def door(call_id: str, cwd: str, network: Network, emit: Emit) -> Door:
        if not networks:
            from agent.app.network import Networks

            networks.append(Networks(lambda: gate.policy, context, desk, sink, spec, stored.thread_id))
        return networks[0].door(call_id, cwd, network, emit)

    def dispatching(registry: Registry, emit: Emit, agent: str = "main") -> Dispatcher:
        return Dispatcher(
            session=stored.thread_id,
            registry=registry,
            gate=gate if telemetry is None else ObservedJudge(gate, telemetry),
            desk=desk,
            sink=sink,
            sandboxes=sandboxes,
            emit=emit,
            asker=lambda: Asker(
                agent=agent,
                model=settings.model_in_force,
                approval=_approval(settings),
                policy=policy.digest(gate.in_force.files),
            ),
        )

    def trace(call_id: str) -> str | None:
        return None if telemetry is None else telemetry.traceparent(stored.thread_id, call_id)

    def tools(running: RunningCommands) -> tuple[Tool, ...]:
        return _tools(settings, bash, environment, running, trace, door)

    async def help(name: str, message: str) -> tuple[str, str]:
        return await run_helper(parts, dispatching, tools, name, message)

    helpers = Helpers(help)
    cwd = str(settings.cwd)
    registry = Registry((*tools(running), *helpers.tools(cwd, settings.tool_output_token_limit)))
    dispatcher = dispatching(registry, outbox.emit)
    prepare = _servers(settings, environment, dispatcher.registry, trace, outbox.emit, stack)

    def close_networks() -> None:
        for one in networks:
            one.close()

    stack.callback(close_networks)  # last: their commands have ended
    stack.push_async_callback(dispatcher.aclose)
    stack.push_async_callback(running.close)  # first: what came of them is then recorded
    stack.push_async_callback(helpers.close)
    parts = TurnParts(
        thread_id=stored.thread_id,
        model=model,
        model_name=settings.model_in_force,
        dispatcher=dispatcher,
        history=stored.history,
        journal=stored.journal,
        emit=outbox.emit,
        opening=tuple(
            map(sound, opening(_surroundings(settings, _usual(settings, spec, gate.policy), found.text)))
        ),
        compact_tokens=settings.compact_tokens or settings.context_window * 9 // 10,
        state=lambda: "\n\n".join(filter(None, (running.described(), helpers.described()))),
        prepare=prepare,
        halted=helpers.stop,
        max_steps=settings.max_steps,
        seconds=settings.turn_seconds,
        waited=lambda: desk.seconds_waited,
        hosted=_hosted(settings, gate, outbox.emit),
        reasoning=_reasoning(settings),
        verbosity=settings.verbosity,
    )
    thread = Thread(parts, desk=desk, outbox=outbox)
    started = ThreadStarted(
        stored.thread_id, stored.resumed, settings.model_in_force, str(settings.cwd), settings.sandbox.value
    )
    thread.begin(started, (*in_force.warnings, *map(Warned, (*found.warnings, *troubles))))
    return thread


# --- parts ----------------------------------------------------------------------------------------


def _tools(
    settings: Settings,
    bash: str,
    environment: Callable[[], Mapping[str, str]],
    running: RunningCommands,
    trace: Callable[[str], str | None],
    doors: Doors,
) -> tuple[Tool, ...]:
    cwd = str(settings.cwd)
    limits = ShellLimits(
        seconds=settings.command_seconds,
        output_tokens=settings.tool_output_token_limit,
        output_bytes=settings.output_bytes,
    )
    return (
        ShellTool(
            bash=bash,
            cwd=cwd,
            environment=environment,
            running=running,
            limits=limits,
            trace=trace,
            doors=doors,
        ),
        InputTool(running, output_tokens=settings.tool_output_token_limit),
        PatchTool(cwd),
        ImageTool(cwd),
        PlanTool(cwd),
    )


def _servers(
    settings: Settings,
    environment: Callable[[], Mapping[str, str]],
    registry: Registry,
    trace: Callable[[str], str | None],
    emit: Emit,
    stack: AsyncExitStack,
) -> Callable[[], Awaitable[None]] | None:
    """Opens the MCP servers before the first turn; None where there are none."""
    if not settings.servers:
        return None
    from agent.tools.mcp import McpConnection
    from agent.tools.served import Servers

    cwd = str(settings.cwd)
    servers = Servers(
        (McpConnection(server, environment, cwd) for server in settings.servers),
        cwd,
        settings.tool_output_token_limit,
        trace,
    )
    stack.push_async_callback(servers.close)

    def tell(trouble: str) -> None:
        emit(Warned(trouble, "see [mcp_servers] in config.toml"))

    return lambda: servers.ready(registry.add, tell)


def _model(settings: Settings, stack: AsyncExitStack) -> ModelClient:
    base_url, key = settings.base_url, settings.api_key or "none"
    if settings.scripted:
        from agent.llm.first_task import script
        from agent.llm.scripted import ScriptedServer

        # A resumed thread meets a new server: without the label it would count its calls from one again.
        server = ScriptedServer(script, label=f"{os.urandom(3).hex()}_")
        server.start()
        stack.callback(server.stop)
        base_url = server.base_url
    client = RetryingClient(
        ResponsesClient(
            base_url=base_url,
            api_key=key,
            headers=dict(settings.headers),
            key_name=settings.env_key,
            connect_seconds=settings.connect_seconds,
            idle_seconds=settings.stream_idle_seconds,
        ),
        Backoff(retries=settings.stream_max_retries, requests=settings.request_max_retries),
    )
    stack.push_async_callback(client.aclose)
    return client


def _hosted(settings: Settings, gate: Judge, emit: Emit) -> tuple[JsonObject, ...]:
    """What the model service may do by itself. Nobody can judge a search of its own: it is offered, or not."""
    if settings.web_search == "disabled":
        return ()
    live = settings.web_search == "live"
    request = UseTool(subject="web search", cwd=str(settings.cwd), arguments={"live": live})
    if gate.judge("web_search", request).verdict.decision is not Decision.ALLOW:
        emit(Warned("web search is not offered to the model: the policy does not allow it"))
        return ()
    return ({"type": "web_search", "external_web_access": live},)


def _record(
    settings: Settings,
    rules_told: InForce,
    in_force: policy.PolicyInForce,
    hide: Redactor,
    stored: Stored,
    telemetry: Telemetry | None,
    emit: Emit,
    stack: AsyncExitStack,
) -> AuditSink:
    """The record, with telemetry watching it, opened and closed with the session."""

    def trouble() -> None:
        if telemetry is not None and telemetry.trouble:
            emit(Warned(telemetry.trouble, "look at the OTEL_* variables and at the collector"))
        if record is not None and record.trouble:
            emit(Warned(f"not all is recorded: {record.trouble}", "`agent audit verify` lists the gaps"))
        if signing is not None and signing.trouble:
            emit(Warned(f"the audit log is not signed: {signing.trouble}", "see `agent audit verify`"))
        if signing is not None and signing.unwitnessed:
            emit(Warned(f"the audit log is not witnessed: {signing.unwitnessed}", "see `audit.witness`"))

    record: AuditLog | None = None
    signing: Checkpointer | None = None

    def settle() -> None:
        """Send what waits, and record what no collector has: it is only known then."""
        if telemetry is not None:
            telemetry.close()
            if telemetry.lost:
                with suppress(AuditError):
                    sink.record(
                        audit.Gap(
                            stored.thread_id, audit.GapKind.LOST, telemetry.trouble, count=telemetry.lost
                        )
                    )

    stack.callback(trouble)
    try:
        effort = Effort(settings.audit_mode)
        record = AuditLog(settings.audit, effort=effort, quota_bytes=settings.audit_bytes)
        named = NamedWitness(settings.audit_witness, settings.audit_witness_key)
        signing = checkpointer(settings.audit, named if named.url else None)
        watching = (one for one in (telemetry, signing) if one is not None)
        sink = FanOut(hide.event, record, *watching)
        stack.callback(sink.close)
        stack.callback(settle)
        sink.record(
            audit.SessionStarted(
                stored.thread_id,
                agent_version=__version__,
                model=settings.model_in_force,
                cwd=str(settings.cwd),
                workspace=str(settings.workspace),
                sandbox=settings.sandbox.value,
                approval=_approval(settings),
                user=_user(),
                host=platform.node(),
                resumed=stored.resumed,
                provider=_provider(settings),
            )
        )
        for event in rules_told.told(_policy_loaded(stored, in_force)):
            sink.record(event)
    except AuditError as error:
        raise ConfigError(f"the audit record cannot be written: {error}", error.help) from error
    stack.callback(sink.record, audit.SessionEnded(stored.thread_id, "closed"))
    return sink


def _policy_loaded(stored: Stored, rules: policy.PolicyInForce) -> audit.PolicyLoaded:
    bundles = bundles_of(file.path for file in rules.files)
    files = tuple(
        audit.PolicyFile(file.path, file.layer.word, file.digest, file.usable, version=version, bundle=bundle)
        for file in rules.files
        for bundle, version in (bundles[file.path],)
    )
    return audit.PolicyLoaded(stored.thread_id, files, rules.errors, policy.digest(rules.files))


def _model_writable(settings: Settings) -> tuple[Path, ...]:
    """The folders that a sandboxed command of the session may write, whatever is protected in them."""
    return (settings.workspace, *settings.writable, *map(Path, temp_folders(os.environ)))


def _masking(settings: Settings, in_force: policy.PolicyInForce) -> Masking:
    try:
        return masking(settings, in_force.policy, os.environ, today=date.today())
    except AuditError as error:
        if Effort(settings.audit_mode) is Effort.BEST:  # markers without digests mask as well
            return masking(settings, in_force.policy, os.environ)
        raise ConfigError(f"secrets cannot be masked: {error}", error.help) from error


def _surroundings(settings: Settings, spec: SandboxSpec, text: str) -> Surroundings:
    return Surroundings(
        cwd=str(settings.cwd),
        workspace=spec.workspace,
        writable=spec.writable,
        mode=spec.mode,
        network=spec.network,
        can_ask=settings.interactive or bool(settings.reviewer),
        today=date.today().isoformat(),
        instructions=text,
    )


def _usual(settings: Settings, spec: SandboxSpec, rules: Policy) -> SandboxSpec:
    """What most commands have: those whose rules say nothing else."""
    usual = reach(rules, spec.network).usual
    return replace(spec, network=usual if settings.most_network else Network.NONE)


def _sandboxes(settings: Settings) -> Callable[[SandboxMode], Sandbox]:
    """One back end a mode, looked for once: it costs a trial run."""
    power = (SandboxMode.READ_ONLY, SandboxMode.WORKSPACE_WRITE, SandboxMode.FULL_ACCESS)

    def pick(mode: SandboxMode) -> Sandbox:
        if power.index(mode) > power.index(settings.most_sandbox):
            raise SandboxUnavailable(
                f"the owner of this machine lets nothing run in the mode {mode.value}",
                "run it inside the sandbox, or by hand",
            )
        return select(
            mode,
            untrusted=(str(settings.workspace), *map(str, settings.writable)),
            fallback=settings.sandbox_fallback,
        )

    return cache(pick)


def _child_environment(settings: Settings) -> dict[str, str]:
    """INVARIANT: neither the variable that holds the key nor another one with the same value."""
    return child_environment(
        {
            name: value
            for name, value in os.environ.items()
            if name not in (settings.env_key, CODEX_KEY_VARIABLE)
            and not any(secret in value for secret in settings.secrets)
        }
    )


def _reasoning(settings: Settings) -> JsonObject | None:
    wanted: JsonObject = {}
    if settings.effort:
        wanted["effort"] = settings.effort
    if settings.summary:
        wanted["summary"] = settings.summary
    return wanted or None


def _bash() -> str:
    for path in _BASH:
        if os.access(path, os.X_OK):
            return path
    raise ConfigError("there is no bash on this machine", f"install it as one of: {', '.join(_BASH)}")


def _provider(settings: Settings) -> str:
    """Whose model it is, by its name in the settings."""
    return "scripted" if settings.scripted else settings.provider


def _approval(settings: Settings) -> str:
    """Who answers an ask."""
    return settings.reviewer.partition(" ")[0] or ("user" if settings.interactive else "nobody")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
