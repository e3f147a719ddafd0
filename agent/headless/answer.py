"""The form that a final message has to have: a JSON Schema, sent with each request and checked at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from agent.errors import ConfigError
from agent.protocol.items import Json, JsonObject
from execpolicy.values import frozen

NAME = "codex_output_schema"  # what the model service is told; that of Codex, for caches and mocks
MOST_BYTES = 1 << 20
MOST_ERRORS = 10  # told to the model


@frozen
class AnswerForm:
    """One schema. `errors` says what an answer lacks; nothing when it fits."""

    schema: JsonObject
    errors: Callable[[str], tuple[str, ...]]
    note: str = ""  # what a person has to know of the check

    @property
    def text_format(self) -> JsonObject:
        """`text.format` of a request."""
        return {"type": "json_schema", "strict": True, "name": NAME, "schema": self.schema}


def read_form(path: str) -> AnswerForm:
    """The schema in the file at `path`. Raises `ConfigError` before anything is run."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"cannot read `{path}`: {error.strerror}", "check the path of `--output-schema`"
        ) from None
    if len(raw) > MOST_BYTES:
        raise ConfigError(f"`{path}` is larger than {MOST_BYTES} bytes", "this is no schema")
    try:
        schema = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"`{path}` is not JSON: {error}", "`--output-schema` wants a JSON Schema") from None
    if not isinstance(schema, dict):
        raise ConfigError(f"`{path}` holds no JSON object", "`--output-schema` wants a JSON Schema")
    try:
        return AnswerForm(schema, _checker(path, schema))
    except ImportError:
        note = "warning: only that the answer is JSON is checked: the package `jsonschema` is not installed"
        return AnswerForm(schema, lambda text: _read(text)[1], note)


def _checker(path: str, schema: JsonObject) -> Callable[[str], tuple[str, ...]]:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    kind = validator_for(schema)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path)) or "its top"
        raise ConfigError(f"`{path}` is no JSON Schema: {error.message} (at {where})", "repair it") from None
    validator = kind(schema, registry=Registry())  # an empty one: nothing is fetched

    def errors(text: str) -> tuple[str, ...]:
        value, wrong = _read(text)
        if wrong:
            return wrong
        try:
            found = sorted(
                validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path))
            )
        except (Unresolvable, RecursionError) as error:
            return (f"the schema cannot be followed: {str(error) or type(error).__name__}",)
        return tuple(
            f"{error.json_path}: {error.message if len(error.message) <= 300 else error.message[:299] + '…'}"
            for error in found[:MOST_ERRORS]
        )

    return errors


def _read(text: str) -> tuple[Json, tuple[str, ...]]:
    try:
        return json.loads(text), ()
    except (ValueError, RecursionError) as error:
        return None, (f"it is not JSON: {error}",)


def asked_again(errors: tuple[str, ...]) -> str:
    """What the model is told about an answer that does not fit."""
    listed = "\n".join(f"- {error}" for error in errors)
    return (
        "Your final message does not fit the JSON Schema that it has to fit:\n"
        f"{listed}\nAnswer once more, with nothing but JSON that fits the schema."
    )
