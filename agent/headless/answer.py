"""The form that a final message has to have: a JSON Schema, sent with each request and checked at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from agent.errors import ConfigError
from agent.headless import fit
from agent.protocol.items import JsonObject
from execpolicy.values import frozen

NAME = "codex_output_schema"  # what the model service is told; that of Codex, for caches and mocks
MOST_BYTES = 1 << 20


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
        fit.usable(schema)
    except ImportError:
        note = "warning: only that the answer is JSON is checked: the package `jsonschema` is not installed"
        return AnswerForm(schema, lambda text: fit.read(text)[1], note)
    except ConfigError as error:
        raise ConfigError(f"`{path}` is no JSON Schema: {error}", error.help) from None
    return AnswerForm(schema, lambda text: fit.flaws(schema, text))


def asked_again(errors: tuple[str, ...]) -> str:
    """What the model is told about an answer that does not fit."""
    listed = "\n".join(f"- {error}" for error in errors)
    return (
        "Your final message does not fit the JSON Schema that it has to fit:\n"
        f"{listed}\nAnswer once more, with nothing but JSON that fits the schema."
    )
