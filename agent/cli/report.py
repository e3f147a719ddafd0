"""What went wrong, in `error:` and `help:` lines, with the exit status that fits."""

from __future__ import annotations

import contextlib
import os
import sys

from agent.errors import AgentError

FAILED = 1
USAGE = 2


def report(error: BaseException) -> int:
    """Tell `error` on standard error; the exit status. A traceback is shown to nobody."""
    if isinstance(error, AgentError):
        tell(str(error), error.help)
        return error.exit_status
    if isinstance(error, KeyboardInterrupt):
        tell("interrupted")
        return FAILED
    if isinstance(error, BrokenPipeError):
        _let_go()  # nobody reads on, and nobody needs to be told
        return FAILED
    name = type(error).__module__.partition(".")[0]
    if name in ("execpolicy", "compliance"):
        for diagnostic in getattr(error, "diagnostics", ()):
            from execpolicy.diagnostics import render

            print(render(diagnostic), file=sys.stderr)
        tell(str(error), getattr(error, "help", ""))
        return FAILED
    tell(*worded(error))
    if isinstance(error, OSError):
        _let_go()
    return FAILED


def worded(error: BaseException) -> tuple[str, str]:
    """What is wrong, and the remedy."""
    if isinstance(error, AgentError):
        return str(error), error.help
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", ""
    if isinstance(error, OSError):
        return (f"`{error.filename}`: " if error.filename else "") + (error.strerror or str(error)), ""
    if type(error).__module__.partition(".")[0] in ("execpolicy", "compliance"):
        return str(error), str(getattr(error, "help", ""))
    where = ""
    if error.__traceback__ is not None:
        trace = error.__traceback__
        while trace.tb_next is not None:
            trace = trace.tb_next
        where = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})"
    return (
        f"internal fault: {type(error).__name__}: {error}{where}",
        "this is a defect of the program; please report it with what you did",
    )


def last_event(message: str, help: str = "", *, interrupted: bool = False) -> None:
    """A task that did not come to its events ends with one all the same, on standard output."""
    from agent.headless.jsonl import JsonLines

    def write(line: str) -> None:
        data = line.encode()
        while data:
            data = data[os.write(1, data) :]

    with contextlib.suppress(OSError):  # nobody reads; the exit status still says it
        lines = JsonLines(write)
        if interrupted:
            lines.interrupted("")
        else:
            lines.failure(message, help)


def tell(message: str, help: str = "") -> None:
    """`message` and the remedy, one or more lines on standard error."""
    from agent.protocol.plain import labelled

    text = labelled("error", message) + ("\n" + labelled("help", help) if help else "")
    with contextlib.suppress(OSError):  # nobody can be told; the exit status still says it
        shown = _without_secrets(text)
        print(shown.encode("utf-8", "replace").decode("utf-8"), file=sys.stderr, flush=True)


def _without_secrets(text: str) -> str:
    """Errors quote what was given: an address with a password, a header, a command."""
    from compliance.redact import Redactor
    from compliance.secrets import secret_values

    return Redactor(secret_values(os.environ)).text(text)


def _let_go() -> None:
    """Give up the streams that cannot be written. Python would complain once more when it flushes at exit."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
