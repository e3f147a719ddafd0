"""The keys of config.toml: name, kind, range, who may set them. Their reference page follows this table."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """What a value must be, and how it is named in a message."""

    TEXT = "text"
    URL = "an http or https address"
    INTEGER = "a whole number"
    MILLISECONDS = "a number of milliseconds"
    BOOLEAN = "true or false"
    PATHS = "a list of paths"
    SANDBOX = "read-only, workspace-write or full-access"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key. `field` is the field of `Settings` that it sets."""

    name: str  # dotted, as in the file
    field: str
    kind: Kind
    about: str
    variable: str = ""  # environment variable that sets it too
    least: float = 0
    most: float = float("inf")
    project: bool = False  # a trusted project's own file may set it


KEYS = (
    Key(name="model", field="model", kind=Kind.TEXT, project=True, about="model to ask"),
    Key(
        name="base_url",
        field="base_url",
        kind=Kind.URL,
        variable="OPENAI_BASE_URL",
        about="address of a server that speaks the Responses API; unset: OpenAI",
    ),
    Key(
        name="env_key",
        field="env_key",
        kind=Kind.TEXT,
        about="environment variable that holds the key; the key itself is never written in a file",
    ),
    Key(
        name="stream_max_retries",
        field="stream_max_retries",
        kind=Kind.INTEGER,
        most=100,
        about="how often a refused request or a broken stream is tried again",
    ),
    Key(
        name="connect_timeout_ms",
        field="connect_seconds",
        kind=Kind.MILLISECONDS,
        least=1,
        most=600_000,
        about="time to reach the server",
    ),
    Key(
        name="stream_idle_timeout_ms",
        field="stream_idle_seconds",
        kind=Kind.MILLISECONDS,
        least=1,
        most=3_600_000,
        about="silence after which a stream counts as broken",
    ),
    Key(
        name="turn_timeout_ms",
        field="turn_seconds",
        kind=Kind.MILLISECONDS,
        least=1,
        most=7 * 86_400_000,
        about="longest time of one turn",
    ),
    Key(
        name="sandbox_mode",
        field="sandbox",
        kind=Kind.SANDBOX,
        project=True,
        about="what commands may write; a project may only make it stricter",
    ),
    Key(
        name="sandbox_workspace_write.network_access",
        field="network",
        kind=Kind.BOOLEAN,
        about="commands may use the network",
    ),
    Key(
        name="sandbox_workspace_write.writable_roots",
        field="writable",
        kind=Kind.PATHS,
        about="folders that commands may write beside the workspace",
    ),
    Key(
        name="command_timeout_ms",
        field="command_seconds",
        kind=Kind.MILLISECONDS,
        least=1,
        most=86_400_000,
        project=True,
        about="time-out of a command that names none",
    ),
    Key(
        name="tool_output_token_limit",
        field="tool_output_token_limit",
        kind=Kind.INTEGER,
        least=100,
        most=1_000_000,
        project=True,
        about="how much of one output the model sees, in tokens of four bytes",
    ),
    Key(
        name="output_max_bytes",
        field="output_bytes",
        kind=Kind.INTEGER,
        least=4096,
        most=1 << 28,
        about="how much of one output is kept, head and tail",
    ),
    Key(
        name="project_doc_max_bytes",
        field="project_doc_max_bytes",
        kind=Kind.INTEGER,
        most=1 << 24,
        project=True,
        about="how much AGENTS.md text is read",
    ),
    Key(
        name="max_steps",
        field="max_steps",
        kind=Kind.INTEGER,
        least=1,
        most=100_000,
        project=True,
        about="most model requests in one turn",
    ),
)

PROJECTS = "projects"  # [projects."/path"] trust_level = "trusted" | "untrusted": user's file only
TRUST_LEVELS = ("trusted", "untrusted")
BY_NAME = {key.name: key for key in KEYS}
TABLES = frozenset(key.name.rpartition(".")[0] for key in KEYS if "." in key.name)
