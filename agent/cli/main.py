"""The entry of the command line: one command is found, built and run; every failure is told in words."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_GROUPS = {
    "Run": {
        "exec": "run one task without a terminal",
        "resume": "go on with a stored session",
        "fork": "begin a new session with all that a stored one holds",
        "review": "let the agent look at a change",
        "apply": "apply a diff to the files here",
        "sandbox": "run any command in the sandbox of the agent's commands",
    },
    "Sessions": {
        "sessions": "list, search, name, archive, delete and export stored sessions",
    },
    "Policy": {
        "policy": "ask, test and tend the rules",
        "approvals": "allow for longer, list what is, and take it back",
    },
    "Audit": {
        "audit": "show, verify and report what was decided and done",
    },
    "Set up": {
        "login": "keep the key of the model service",
        "logout": "forget it",
        "config": "show the settings and where they come from",
        "doctor": "say what of this machine works for the agent",
        "help": "show this text",
    },
}
COMMANDS = {name: about for group in _GROUPS.values() for name, about in group.items()}
FOLDERS = (
    "sessions",
    "policy",
    "approvals",
    "audit",
    "sandbox",
    "doctor",
    "config",
    "login",
    "logout",
    "apply",
)
# Options of Codex that have no meaning here, and what to do instead.
_NOT_HERE = {
    "--approve-for-me": "no model answers for a person: allow it by a rule, or run `agent`",
    "--ignore-rules": "rules are never set aside; AGENT_HOME names another state folder, with rules of its own",
    "--enable": "features are settings: `-c KEY=VALUE`, see docs/reference/config.md",
    "--disable": "features are settings: `-c KEY=VALUE`, see docs/reference/config.md",
    "--last": "it belongs to resume and fork: `agent exec resume --last`",
}
# Commands of Codex that are none here: a client that asks for one must not have its name sent to a model as a task.
_NO_COMMANDS = {
    "app-server": "clients drive `agent exec --json`, with `resume ID` for the next turn",
    "mcp-server": "clients drive `agent exec --json`, with `resume ID` for the next turn",
    "proto": "clients drive `agent exec --json`, with `resume ID` for the next turn",
    "exec-server": "clients drive `agent exec --json`, with `resume ID` for the next turn",
    "mcp": "servers are settings: `[mcp_servers.NAME]` in config.toml, or `-c mcp_servers.NAME.command=...`",
    "execpolicy": "`agent policy check` asks the rules",
    "features": "features are settings: `agent config show`",
    "debug": "`agent doctor` says what works, `agent sandbox` runs a command confined",
    "cloud": "everything runs on this machine",
    "plugin": "tools come from MCP servers: `[mcp_servers.NAME]` in config.toml",
    "update": "update the package that brought the agent",
    "completion": "there are none yet",
    "responses-api-proxy": "`--base-url` and `[model_providers.NAME]` name another server",
}
EPILOG = (
    "\n\n".join(
        f"\b\n{title}:\n" + "\n".join(f"  {name:<10}{about}" for name, about in group.items())
        for title, group in _GROUPS.items()
    )
    + "\n\n`agent COMMAND --help` tells more. A prompt that is the name of a command stands behind `--`:"
    " `agent -- exec`."
)


class _Ended(SystemExit):
    """A signal asked for the end. Not an interrupt: Python and the libraries make statuses of their own of it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; its exit status: 0 done, 1 failed, 2 wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words in (["--version"], ["-V"]):
            # Answered before anything is imported: scripts ask this often.
            from agent import __version__

            print(f"agent {__version__}")
            status = 0
        else:
            # A start makes a great many objects that stay, and looks for circles among them all the time.
            gc.set_threshold(50_000, 20, 20)
            _standard_streams()
            with _ending_in_words(interrupts=not words or words[0] not in FOLDERS):
                status = _run(words)
        # A reader that is gone or a disk that is full would be told by Python at exit, in its own words.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        # At its end Python looks for circles among all it holds; for none of that is there anything to do.
        gc.freeze()
        return status
    except _Ended:
        from agent.cli.report import FAILED, last_event, tell

        if _speaks_events(words):
            last_event("interrupted", interrupted=True)
        tell("interrupted")
        return FAILED
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the program ends here
        from agent.cli.report import last_event, report, worded

        if _speaks_events(words):
            last_event(*worded(error), interrupted=isinstance(error, KeyboardInterrupt))
        return report(error)


@contextlib.contextmanager
def _ending_in_words(*, interrupts: bool) -> Iterator[None]:
    """TERM and hang-up end the program with a word, from its start; a second one ends it at once.

    `interrupts`: so does Ctrl-C. Python's own exception for it is taken for an exit status by some of what it
    passes through on its way.
    """
    import signal

    def leave(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise _Ended(1)

    lost: type[BaseException] = _Ended
    lost_once = False

    def again(_number: int, _frame: object) -> None:
        raise lost(1)

    def unraised(what: sys.UnraisableHookArgs) -> None:
        # Raised in a callback of the interpreter, where nobody hears of it: said once more when that is over.
        nonlocal lost, lost_once
        if what.exc_type in (_Ended, KeyboardInterrupt) and hasattr(signal, "setitimer"):
            lost, lost_once = what.exc_type, True
            signal.signal(signal.SIGALRM, again)
            signal.setitimer(signal.ITIMER_REAL, 0.01)
        else:
            hook(what)

    hook, sys.unraisablehook = sys.unraisablehook, unraised
    taken: list[signal.Signals] = []
    usual: dict[signal.Signals, Any] = {signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    if interrupts:
        usual[signal.SIGINT] = signal.default_int_handler
    for number, before in usual.items():
        if signal.getsignal(number) is before:  # one that is to be ignored stays so
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(number, leave)
                taken.append(number)
    try:
        yield
    finally:
        if lost_once:
            signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        for number in taken:
            if signal.getsignal(number) is leave:
                signal.signal(number, usual[number])


def _speaks_events(words: list[str]) -> bool:
    """A client reads JSON Lines of a task from standard output."""
    ours = words[: words.index("--")] if "--" in words else words
    tasks = ("exec", "e", "review")
    return (
        bool({"--json", "--experimental-json"}.intersection(ours))
        and bool(set(tasks).intersection(ours))
        and ours[0] not in FOLDERS
    )


def _standard_streams() -> None:
    """All three are there and take any text."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # A file opened later would get the number, and be read as the user's answers.
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name that is not UTF-8 must not end the program.
            stream.reconfigure(errors="backslashreplace")


def _run(words: list[str]) -> int:
    if words[:1] == ["e"]:  # as Codex spells it for short
        words = ["exec", *words[1:]]
    if words[:1] and words[0] in FOLDERS:
        return _folder(words[0], words[1:])
    from agent.cli import run
    from agent.cli.arrange import arrange, prompt_first
    from agent.errors import UsageError

    exec_command = build(run.exec_task)
    valued = {
        option
        for parameter in exec_command.params
        if parameter.param_type_name == "option" and not getattr(parameter, "is_flag", False)
        for option in parameter.opts
    }
    line = arrange(words, COMMANDS, valued, besides=_NO_COMMANDS)
    match line.command:
        case None:
            return invoke(build(run.interactive, EPILOG), line.words, "agent")
        case "help":
            return invoke(build(run.interactive, EPILOG), ["--help"], "agent")
        case "exec":
            inner = prompt_first(line.words, ("resume", "fork"), valued) or arrange(
                line.words, {"resume", "fork", "review"}, valued
            )
            if inner.command is None:
                return invoke(exec_command, inner.words, "agent exec")
            if inner.command == "review":
                from agent.cli.review import review

                return invoke(build(review), inner.words, "agent exec review")
            if inner.command == "fork":
                return invoke(build(run.exec_fork), inner.words, "agent exec fork")
            return invoke(build(run.exec_resume), inner.words, "agent exec resume")
        case "resume":
            return invoke(build(run.resume), line.words, "agent resume")
        case "fork":
            return invoke(build(run.fork), line.words, "agent fork")
        case "review":
            from agent.cli.review import review

            return invoke(build(review), line.words, "agent review")
        case name if name in _NO_COMMANDS:
            raise UsageError(
                f"there is no command `{name}` here", f"{_NO_COMMANDS[name]}; as a task: `agent -- {name}`"
            )
        case name:
            raise UsageError(
                f"`{line.before[0]}` does not belong before `{name}`", f"see `agent {name} --help`"
            )


def _folder(name: str, words: list[str]) -> int:
    """A command that has commands of its own; each room brings its own."""
    if name == "policy" and words[:1] == ["check"]:
        from agent.cli.asked import settings_of
        from execpolicy.cli.check import check_quickly

        status = check_quickly(
            words[1:], settings_of
        )  # the usual question is answered without a command line library
        if status is not None:
            return status
    known: object = None  # what the commands are told beside their words
    match name:
        case "login":
            from agent.cli.login import login

            return invoke(build(login), words, "agent login")
        case "logout":
            from agent.cli.login import logout

            return invoke(build(logout), words, "agent logout")
        case "apply":
            from agent.cli.apply import apply

            return invoke(build(apply), words, "agent apply")
        case "config":
            from agent.cli.config import app
        case "policy":
            from agent.cli.asked import settings_of
            from execpolicy.cli import app

            known = settings_of
        case "approvals":
            from agent.cli.approvals import app
        case "audit":
            from compliance.cli import app
        case "sandbox":
            from agent.cli.sandbox import app
        case "doctor":
            from agent.cli.doctor import app
        case _:
            from agent.cli.sessions import app
    import typer

    return invoke(typer.main.get_command(app), words, f"agent {name}", known)


def build(function: Callable[..., None], epilog: str | None = None) -> Any:
    """`function` as a command of its own."""
    import typer

    from agent.cli.options import expanded
    from agent.cli.width import settings_of_help

    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(epilog=epilog, context_settings=settings_of_help())(expanded(function))
    return typer.main.get_command(app)


def invoke(command: Any, words: list[str], name: str, known: object = None) -> int:
    """Run `command`, which finds `known` in its context; wrong usage is told in one line and a hint."""
    import typer

    from agent.cli.report import FAILED, report, tell

    usage_error: type[Any] = typer.BadParameter.__mro__[1]
    entered = interrupted = False
    cut_short: EOFError | None = None

    def told_apart(callback: Callable[..., Any]) -> Callable[..., Any]:
        # The library makes an exit status of its own of an interrupt, and says nothing; of any end of a file
        # it makes an interrupt.
        def call(*args: Any, **more: Any) -> Any:
            nonlocal entered, interrupted, cut_short
            entered = True
            try:
                return callback(*args, **more)
            except EOFError as error:
                cut_short = error
                raise
            except KeyboardInterrupt:
                interrupted = True
                raise

        return call

    for one in (command, *getattr(command, "commands", {}).values()):
        if one.callback is not None:
            one.callback = told_apart(one.callback)
    try:
        result = command.main(args=words, prog_name=name, standalone_mode=False, obj=known)
    except usage_error as error:
        context = error.ctx
        return _wrong_usage(error, context.command_path if context is not None else name)
    except typer.Abort:
        if cut_short is not None and not (sys.stdin is not None and sys.stdin.isatty()):
            return report(cut_short)  # nobody ended an input: a file or a stream is not whole
        tell("interrupted")
        return FAILED
    if interrupted or (result == 130 and not entered):
        tell("interrupted")
        return FAILED
    return result if isinstance(result, int) else 0


def _wrong_usage(error: Any, path: str) -> int:
    from agent.cli.report import USAGE, tell

    see = f"see `{path} --help`"
    message = str(error.format_message()).rstrip(".").replace("'", "`").replace("Value error, ", "")
    option = getattr(error, "option_name", None)
    close = getattr(error, "possibilities", None)
    if "\n" in message:  # a folder of commands without a command: its help text
        print(message, file=sys.stderr)
    elif option and option in _NOT_HERE:
        tell(f"there is no `{option}` here", _NOT_HERE[option])
    elif option and message.startswith("No such option"):
        tell(f"no such option `{option}`", f"did you mean `{close[0]}`? {see}" if close else see)
    elif message.startswith("Got unexpected extra argument"):
        words = message.partition(" (")[2].removesuffix(")")
        tell(f"unexpected words `{words}`", f"a prompt of several words stands in quotes; {see}")
    else:
        tell(message[:1].lower() + message[1:], see)
    return USAGE
