"""The program of the child process that runs Starlark files: JSON lines in, JSON lines out, nothing else.

Started with `python -I` on this very file, with limits set by the parent. One request is
`{"text", "path"}`; the reply is `{"calls": [[name, positional, named], ...], "error": text or null}`.
A value is `[type, repr, payload]`: a string, a bool, a list of values, or null.
"""

from __future__ import annotations

import json
import sys
from typing import Any

FUNCTIONS = ("prefix_rule", "network_rule", "host_executable")
PRELUDE_PATH = "<prelude>"
MAX_FRAMES = 50  # Codex's limit on calls inside each other
OWN_FRAMES = 4  # of the prelude, at most
READ_TWICE = (
    1 << 20
)  # characters: past this the binding's reading is enough, which is laxer only about commas
OVERFLOW = "Starlark call stack overflow"

# The conversion of the binding turns tuples into lists and refuses ranges, so values are described in Starlark.
PRELUDE = """
def _codex_describe_item_(x):
    t = type(x)
    return [t, repr(x), x if t == "string" or t == "bool" else None]

def _codex_describe_list_(x):
    t = type(x)
    if t == "list":
        return [t, "", [_codex_describe_item_(y) for y in x]]
    return [t, repr(x), x if t == "string" or t == "bool" else None]

def _codex_describe_(x):
    t = type(x)
    if t == "list":
        return [t, repr(x), [_codex_describe_list_(y) for y in x]]
    return [t, repr(x), x if t == "string" or t == "bool" else None]
"""
FUNCTION = """
def {name}(*args, **kwargs):
    _codex_call_("{name}", [_codex_describe_(x) for x in args], [[k, _codex_describe_(v)] for k, v in kwargs.items()])
"""
# Byte strings are unknown to the binding. They are read as opaque objects; what is asked of them here is their type.
BYTES = """
def type(x):
    t = _codex_type_(x)
    return "bytes" if t == "opaque_python_object" else t

def repr(x):
    return _codex_bytes_repr_(x) if type(x) == "bytes" else _codex_repr_(x)

def len(x):
    return _codex_bytes_len_(x) if type(x) == "bytes" else _codex_len_(x)
"""
ORIGINALS = """
_codex_type_ = type
_codex_repr_ = repr
_codex_len_ = len
None
"""


class Refused(Exception):
    """A call that Codex refuses; the message is Codex's."""


def main() -> None:
    import starlark

    sys.path.insert(0, __file__.rsplit("/", 3)[0] if "/" in __file__ else "")
    from execpolicy.codex.builtins import Given, Recorder, RuleError
    from execpolicy.codex.dialect import PLACE, excerpt, line_of, message_of, place_of
    from execpolicy.codex.grammar import mistake, value_mistake
    from execpolicy.codex.strings import Rewritten, rewritten

    def given(value: list[Any]) -> Given:
        kind, text, payload = value
        return Given(
            kind=kind,
            repr=text.replace(f"{PRELUDE_PATH}.", ""),
            text=payload if isinstance(payload, str) else None,
            items=tuple(map(given, payload)) if isinstance(payload, list) else None,
            truth=payload if isinstance(payload, bool) else None,
        )

    dialect = starlark.Dialect.extended()
    dialect.enable_f_strings = True
    dialect.enable_top_level_stmt = True
    dialect.enable_load = True
    dialect.enable_positional_only_arguments = False
    dialect.enable_types = starlark.DialectTypes.ENABLE

    def read(text: str, path: str) -> tuple[Any, Rewritten]:
        """The tree of a program. What stands in braces is read first, up to the first other error."""
        program = rewritten(text)
        tree: Any
        try:
            tree = starlark.parse(path, program.code, dialect)
            first_bad = len(text) + 1
        except starlark.StarlarkError as error:
            tree = error
            found = PLACE.search(str(error))
            first_bad = int(found["line"]) if found else 0
        for braces in program.values:
            if isinstance(tree, starlark.StarlarkError) and place_of(text, braces.at)[0] > first_bad:
                break
            message, column = braces.wrong, 2
            if message is None:
                try:
                    starlark.parse("value", f"({braces.value})", dialect)
                    message = value_mistake(braces.value)  # which is stricter
                except starlark.StarlarkError as error:
                    found = PLACE.search(str(error))
                    message = value_mistake(braces.value) or message_of(str(error))
                    column = int(found["column"]) if found else 2
            if message is not None:
                line, place = place_of(text, braces.at + column - 2)
                raise ValueError(f"{message}\n{excerpt(text, path, line, place, 1)}")
        if isinstance(tree, starlark.StarlarkError):
            raise tree
        if len(text) <= READ_TWICE and (refused := mistake(text)):
            raise ValueError(refused)
        try:
            # The value of the last expression would be converted, which not every value stands.
            tree = starlark.parse(path, program.code + "\nNone\n", dialect)
        except starlark.StarlarkError:
            pass
        return tree, program

    def run(text: str, path: str) -> dict[str, object]:
        reply = run_within(text, path, MAX_FRAMES)
        error = str(reply["error"])
        if OVERFLOW in error and f" {PRELUDE_PATH}:" in error:
            reply = run_within(text, path, MAX_FRAMES + OWN_FRAMES)  # the frames of the prelude do not count
        return reply

    def run_within(text: str, path: str, frames: int) -> dict[str, object]:
        calls: list[object] = []
        refusal: list[str] = []
        recorder = Recorder()

        def call(name: str, positional: list[Any], named: list[Any]) -> None:
            try:
                recorder.call(
                    name,
                    [given(value) for value in positional],
                    [(key, given(value)) for key, value in named],
                )
            except RuleError as error:
                refusal.append(str(error))
                raise Refused(str(error)) from None
            calls.append([name, positional, named])

        try:
            tree, program = read(text, path)
            module = starlark.Module()
            module.add_callable("_codex_call_", call)
            options = starlark.EvalOptions(max_callstack_size=frames)
            world = starlark.Globals.standard()
            prelude = PRELUDE + "".join(FUNCTION.format(name=name) for name in FUNCTIONS)
            if program.constants:
                for name, value in program.constants.items():
                    module[name] = starlark.OpaquePythonObject(value)
                module.add_callable("_codex_bytes_repr_", lambda value: value.shown)
                module.add_callable("_codex_bytes_len_", lambda value: len(value.value))
                starlark.eval(module, starlark.parse(PRELUDE_PATH, ORIGINALS), world)
                prelude = BYTES + prelude
            starlark.eval(module, starlark.parse(PRELUDE_PATH, prelude, dialect), world)
            starlark.eval_with(options, module, tree, world)
        except starlark.StarlarkError as error:
            told = str(error)
            found = PLACE.search(told)
            read_as = line_of(rewritten(text).code, int(found["line"])) if found else ""
            return {
                "calls": calls,
                "error": told,
                "refusal": refusal[0] if refusal else None,
                "line": read_as,
            }
        except (Refused, RecursionError, MemoryError, ValueError, TypeError) as error:
            return {"calls": calls, "error": f"error: {error}", "refusal": refusal[0] if refusal else None}
        return {"calls": calls, "error": None, "refusal": None}

    _limit(int(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        sys.stdout.write(json.dumps(run(request["text"], request["path"])) + "\n")
        sys.stdout.flush()


def _limit(memory: int) -> None:
    """No more memory than this, and no file that is not open yet."""
    try:
        import resource
    except ImportError:  # not a POSIX system: the parent's time limit stands alone
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


if __name__ == "__main__":
    main()
