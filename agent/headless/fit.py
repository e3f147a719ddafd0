"""Whether a text fits a JSON Schema: checked here or, where the check has no bound of its own, by a child.

A schema can say what takes for ever to check: a pattern that tries every way, references that double at each
step. Both are checked in a process that is given some seconds.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

from agent.errors import ConfigError
from agent.protocol.items import Json, JsonObject

MOST_ERRORS = 10  # told to the model
MOST_SECONDS = 10.0
_LONGEST = 300  # characters of one error
_WITHOUT_BOUND = ("$ref", "$dynamicRef", "$recursiveRef", "pattern", "patternProperties")
_VALUES = ("const", "enum", "default", "examples", "example")  # hold data, not schemas


def flaws(schema: JsonObject, text: str) -> tuple[str, ...]:
    """What keeps `text` from fitting; nothing when it fits."""
    value, wrong = read(text)
    if wrong:
        return wrong
    if any(name in _WITHOUT_BOUND for name, _ in _members(schema)):
        return _in_a_child(schema, text)
    return check(schema, value)


def read(text: str) -> tuple[Json, tuple[str, ...]]:
    """The value, or why it is none."""
    try:
        return json.loads(text, parse_constant=_no_number), ()
    except (ValueError, RecursionError) as error:
        return None, (f"it is not JSON: {error}",)


def _no_number(name: str) -> Json:
    raise ValueError(f"`{name}` is no number of JSON")


def check(schema: JsonObject, value: Json) -> tuple[str, ...]:
    """As `flaws`, of a value, however long it takes."""
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator = validator_for(schema)(schema, registry=Registry())  # an empty one: nothing is fetched
    try:
        found = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
        return tuple(f"{one.json_path}: {_short(one.message)}" for one in found[:MOST_ERRORS])
    except RecursionError:
        return ("the schema cannot be followed: it, or the answer, is nested too deeply",)
    except (Unresolvable, ArithmeticError) as error:
        return (f"the schema cannot be followed: {str(error) or type(error).__name__}",)


def usable(schema: JsonObject) -> None:
    """Raises `ConfigError` where no answer could be checked: no schema, or one that refers to what is not in it."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    kind = validator_for(schema)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path)) or "its top"
        raise ConfigError(f"{_short(error.message)} (at {where})", "repair it") from None
    except RecursionError:
        raise ConfigError("it is nested too deeply", "simplify it") from None
    members = tuple(_members(schema))
    if sum(name in ("$id", "id") and isinstance(one, str) for name, one in members):
        return  # parts with names of their own: followed when they are needed
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver = Registry().with_resource("", resource).resolver()
    for name, target in members:
        if name == "$ref" and isinstance(target, str):
            try:
                resolver.lookup(target)
            except (Unresolvable, ValueError):
                raise ConfigError(
                    f"it refers to `{_short(target)}`, which is not in it",
                    "nothing is fetched: put it into $defs",
                ) from None


def _members(schema: JsonObject) -> Iterator[tuple[str, Json]]:
    """Every name and value of every object in `schema` that is not data."""
    waiting: list[Json] = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            for name, value in one.items():
                yield name, value
                if name not in _VALUES:
                    waiting.append(value)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _in_a_child(schema: JsonObject, text: str) -> tuple[str, ...]:
    import subprocess

    words = [sys.executable, "-I", "-m", __name__]
    try:
        done = subprocess.run(
            words,
            input=json.dumps({"schema": schema, "text": text}).encode(),
            capture_output=True,
            timeout=MOST_SECONDS,
            env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
            check=True,
        )
        return tuple(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return (f"the schema cannot be followed: to check it took more than {MOST_SECONDS:g} s",)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return (f"it could not be checked: {type(error).__name__}",)


def main() -> None:
    """A schema and a text on standard input; the flaws on standard output."""
    asked = json.load(sys.stdin.buffer)
    value, wrong = read(asked["text"])
    print(json.dumps(wrong or check(asked["schema"], value)))


if __name__ == "__main__":
    main()
