"""The keys of config.toml: name, kind, range, who may set them. Their reference page follows this table."""

from __future__ import annotations

import enum

from execpolicy.values import frozen, replace


class Kind(enum.Enum):
    """What a value must be, and how it is named in a message."""

    TEXT = "text"
    URL = "an http or https address"
    INTEGER = "a whole number"
    MILLISECONDS = "a number of milliseconds"
    BOOLEAN = "true or false"
    PATHS = "a list of paths"
    SANDBOX = "read-only, workspace-write or full-access"
    CHOICE = "one of its choices"
    APPROVAL = "on-request, untrusted, on-failure, never, or { granular = { KIND = true, ... } }"
    TEXTS = "a table of header names and texts"


@frozen(kw_only=True)
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
    choices: tuple[str, ...] = ()  # of the kind CHOICE
    aliases: tuple[str, ...] = ()  # other names of it, of the same meaning

    @property
    def wanted(self) -> str:
        """What a value has to be, in words."""
        if not self.choices:
            return self.kind.value
        return (
            self.choices[0]
            if len(self.choices) == 1
            else f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        )


KEYS = (
    Key(name="model", field="model", kind=Kind.TEXT, project=True, about="model to ask"),
    Key(
        name="model_provider",
        field="provider",
        kind=Kind.TEXT,
        about="model service to ask: `openai`, or one of `model_providers`",
    ),
    Key(
        name="model_reasoning_effort",
        field="effort",
        kind=Kind.CHOICE,
        choices=("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra", "persistent"),
        project=True,
        about="how long the model thinks; unset: as the service does",
    ),
    Key(
        name="model_reasoning_summary",
        field="summary",
        kind=Kind.CHOICE,
        choices=("auto", "concise", "detailed", "none"),
        project=True,
        about="what is told of the model's thoughts; unset: as the service does",
    ),
    Key(
        name="model_verbosity",
        field="verbosity",
        kind=Kind.CHOICE,
        choices=("low", "medium", "high"),
        project=True,
        about="how long answers are; unset: as the service does",
    ),
    Key(
        name="web_search",
        field="web_search",
        kind=Kind.CHOICE,
        choices=("disabled", "cached", "live"),
        about="whether the model service searches the web for the model, in its own store or in truth",
    ),
    Key(
        name="base_url",
        field="base_url",
        kind=Kind.URL,
        aliases=("openai_base_url",),
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
        name="request_max_retries",
        field="request_max_retries",
        kind=Kind.INTEGER,
        most=100,
        about="how often a request that was refused is sent again",
    ),
    Key(
        name="stream_max_retries",
        field="stream_max_retries",
        kind=Kind.INTEGER,
        most=100,
        about="how often a stream that broke is asked for again",
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
        name="approval_policy",
        field="approval_policy",
        kind=Kind.APPROVAL,
        about="which asks reach a person or a reviewer",
    ),
    Key(
        name="approvals.expire_days",
        field="approval_days",
        kind=Kind.INTEGER,
        least=1,
        most=3650,
        about="how long a lasting yes holds",
    ),
    Key(
        name="approvals.reviewer",
        field="reviewer",
        kind=Kind.TEXT,
        about="who answers an ask before a person does: a command, `model` or `model:NAME`; as `--approve-with`",
    ),
    Key(
        name="approvals.reviewer_timeout_ms",
        field="reviewer_seconds",
        kind=Kind.MILLISECONDS,
        least=1,
        most=600_000,
        about="time that the reviewer has for one answer",
    ),
    Key(
        name="approvals.reviewer_max_requests",
        field="reviewer_requests",
        kind=Kind.INTEGER,
        least=1,
        most=100_000,
        about="how often it is asked in one session",
    ),
    Key(
        name="approvals.reviewer_max_tokens",
        field="reviewer_tokens",
        kind=Kind.INTEGER,
        least=1000,
        most=1_000_000_000,
        about="tokens that a model as reviewer may use in one session",
    ),
    Key(
        name="fail_on",
        field="fail_on",
        kind=Kind.CHOICE,
        choices=("never", "deny", "ask"),
        about="when `agent exec` exits 1 though its task was done: as `--fail-on`",
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
        name="sandbox_workspace_write.exclude_slash_tmp",
        field="exclude_slash_tmp",
        kind=Kind.BOOLEAN,
        about="commands may not write `/tmp` and `/var/tmp`",
    ),
    Key(
        name="sandbox_workspace_write.exclude_tmpdir_env_var",
        field="exclude_tmpdir",
        kind=Kind.BOOLEAN,
        about="commands may not write the folder that `TMPDIR` names",
    ),
    Key(
        name="sandbox_fallback",
        field="sandbox_fallback",
        kind=Kind.CHOICE,
        choices=("none", "landlock", "restricted-token"),
        about="weaker sandbox to use where the strong one cannot be built; each start says what is weaker",
    ),
    Key(
        name="sandbox_limits.processes",
        field="limit_processes",
        kind=Kind.INTEGER,
        least=0,
        most=1_000_000,
        about="processes that one command may have at once; 0: no limit, here and below",
    ),
    Key(
        name="sandbox_limits.memory_mb",
        field="limit_memory_mb",
        kind=Kind.INTEGER,
        least=-1,
        most=1 << 30,
        about="memory of all processes of one command; -1: three quarters of the machine's",
    ),
    Key(
        name="sandbox_limits.cpu_seconds",
        field="limit_cpu_seconds",
        kind=Kind.INTEGER,
        least=0,
        most=1 << 30,
        about="processor time of each process",
    ),
    Key(
        name="sandbox_limits.open_files",
        field="limit_open_files",
        kind=Kind.INTEGER,
        least=0,
        most=1 << 24,
        about="open files of each process",
    ),
    Key(
        name="sandbox_limits.file_mb",
        field="limit_file_mb",
        kind=Kind.INTEGER,
        least=0,
        most=1 << 30,
        about="size of each file that is written",
    ),
    Key(
        name="sandbox_limits.disk_mb",
        field="limit_disk_mb",
        kind=Kind.INTEGER,
        least=0,
        most=1 << 30,
        about="what one command may write to disk in all",
    ),
    Key(
        name="sandbox_limits.new_files",
        field="limit_new_files",
        kind=Kind.INTEGER,
        least=0,
        most=1 << 30,
        about="files by which one command may fill a file system",
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
        name="model_context_window",
        field="context_window",
        kind=Kind.INTEGER,
        least=8_000,
        most=100_000_000,
        about="how many tokens the model can hold",
    ),
    Key(
        name="model_auto_compact_token_limit",
        field="compact_tokens",
        kind=Kind.INTEGER,
        least=1,
        most=100_000_000,
        about="length at which a conversation is summed up; unset: nine tenths of the window",
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
    Key(
        name="audit.mode",
        field="audit_mode",
        kind=Kind.CHOICE,
        choices=("required", "best-effort"),
        about="what cannot be recorded does not run, or runs and leaves a gap in the record",
    ),
    Key(
        name="audit.max_bytes",
        field="audit_bytes",
        kind=Kind.INTEGER,
        least=1 << 20,
        most=1 << 50,
        about="quota of the audit record; unset: none",
    ),
    Key(
        name="audit.witness",
        field="audit_witness",
        kind=Kind.TEXT,
        about="address of the witness that is to cosign the audit record at each checkpoint; unset: none",
    ),
    Key(
        name="audit.witness_key",
        field="audit_witness_key",
        kind=Kind.TEXT,
        about="public key of that witness, as `agent audit witness serve` prints it",
    ),
    Key(
        name="redact.output",
        field="redact_output",
        kind=Kind.CHOICE,
        choices=("terminal", "all"),
        about="`all`: secrets are masked in `--json` too; records, traces, exports and the terminal have none",
    ),
)

PROVIDER_KEYS = (  # below [model_providers.NAME]
    Key(name="name", field="name", kind=Kind.TEXT, about="its name for a person"),
    Key(name="base_url", field="base_url", kind=Kind.URL, about="its address"),
    Key(name="env_key", field="env_key", kind=Kind.TEXT, about="environment variable that holds its key"),
    Key(
        name="env_key_instructions",
        field="env_key_instructions",
        kind=Kind.TEXT,
        about="what to do when that variable is not set",
    ),
    Key(
        name="wire_api",
        field="wire_api",
        kind=Kind.CHOICE,
        choices=("responses",),
        about="what it speaks: the Responses API",
    ),
    Key(name="http_headers", field="headers", kind=Kind.TEXTS, about="headers of each request"),
    Key(
        name="env_http_headers",
        field="env_headers",
        kind=Kind.TEXTS,
        about="headers of each request whose values stand in environment variables",
    ),
    Key(
        name="requires_openai_auth",
        field="openai_auth",
        kind=Kind.BOOLEAN,
        about="it gets the key of OpenAI; only where it has no `env_key`",
    ),
    *(
        replace(next(key for key in KEYS if key.name == name), about=f"{name} for it")
        for name in ("request_max_retries", "stream_max_retries", "stream_idle_timeout_ms")
    ),
)
PROVIDER_BY_NAME = {key.name: key for key in PROVIDER_KEYS}

PROVIDERS = "model_providers"  # [model_providers.NAME]: user's file and -c only
PROFILES = "profiles"  # [profiles.NAME] holds keys of the table above: user's file only
PROFILE = "profile"  # the profile in force: user's file and -c only
PROJECTS = "projects"  # [projects."/path"] trust_level = "trusted" | "untrusted": user's file only
TRUST_LEVELS = ("trusted", "untrusted")
BY_NAME = {name: key for key in KEYS for name in (key.name, *key.aliases)}
TABLES = frozenset(key.name.rpartition(".")[0] for key in KEYS if "." in key.name)
