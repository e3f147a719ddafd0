"""The settings of one run: frozen, complete, with the place that each value came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from agent.config.servers import McpServer
from execpolicy.decision import SandboxMode
from execpolicy.values import field, frozen

DEFAULT_MODEL = "gpt-5.5"
SCRIPTED_MODEL = "scripted"  # the built-in one
DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"
CODEX_KEY_VARIABLE = "CODEX_API_KEY"  # what clients of Codex set
DEFAULT_PROVIDER = "openai"


@frozen(kw_only=True)
class Settings:
    """Everything that a run depends on. Paths are absolute.

    The key of the model service stands in no `repr`, no config file and no record.
    """

    # places
    agent_home: Path
    cwd: Path
    workspace: Path  # root of the git repository that holds `cwd`, else `cwd`
    trusted: bool = False  # the user's config names this workspace as trusted

    # the model service
    model: str = DEFAULT_MODEL
    base_url: str | None = None  # None: the service of OpenAI
    env_key: str = DEFAULT_KEY_VARIABLE  # the variable that holds the key
    api_key: str | None = field(default=None, repr=False)
    provider: str = DEFAULT_PROVIDER
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # of each request
    effort: str = ""  # empty: as the service does, here and below
    summary: str = ""
    verbosity: str = ""
    web_search: str = "disabled"
    request_max_retries: int = 5  # of a request that was refused
    stream_max_retries: int = 5  # of a stream that broke
    connect_seconds: float = 20.0
    stream_idle_seconds: float = 300.0  # silence of a stream after which it counts as broken
    turn_seconds: float = 3600.0  # the longest that one turn may take, waiting for a person not counted

    # what commands may do
    sandbox: SandboxMode = SandboxMode.WORKSPACE_WRITE
    most_sandbox: SandboxMode = SandboxMode.FULL_ACCESS  # no rule and no yes gives more
    most_network: bool = True  # False: no rule and no yes opens the network
    network: bool = False
    writable: tuple[Path, ...] = ()  # beside the workspace and the temporary folders
    exclude_slash_tmp: bool = False  # the system's temporary folders are not writable
    exclude_tmpdir: bool = False  # nor what TMPDIR names
    sandbox_fallback: str = "none"  # the weaker sandbox that may stand in for the strong one
    limit_processes: int = 1024  # of one command, as all limits; 0: none
    limit_memory_mb: int = -1  # of its whole tree; -1: three quarters of the machine's
    limit_cpu_seconds: int = 0  # of each process
    limit_open_files: int = 65_536  # of each process
    limit_file_mb: int = 65_536  # of each file written
    limit_disk_mb: int = 65_536  # written in all
    limit_new_files: int = 2_000_000  # by which the file system has fewer free
    policy_files: tuple[Path, ...] = ()  # rule files named for this run
    rules_profile: str = ""  # profile of shipped rules named for this run
    command_seconds: float = 600.0  # time-out of a command that names none
    interactive: bool = False  # somebody can answer an ask
    approval_policy: str = "on-request"  # as `agent.config.asking.read_policy` takes it
    approval_days: int = 90  # that a lasting yes holds
    reviewer: str = ""  # who answers an ask before a person does
    reviewer_seconds: float = 60.0
    reviewer_requests: int = 100  # in one session
    reviewer_tokens: int = 500_000  # in one session, of a model
    fail_on: str = "never"  # when `agent exec` fails though its task was done

    # bounds
    tool_output_token_limit: int = 10_000  # what the model sees of one output
    output_bytes: int = 1 << 20  # what is kept of one output
    project_doc_max_bytes: int = 32_768  # AGENTS.md texts together
    max_steps: int = 500  # model requests in one turn
    context_window: int = 272_000  # tokens that the model can hold
    compact_tokens: int = 0  # length at which a conversation is summed up; 0: nine tenths of the window

    audit_mode: str = "required"
    audit_bytes: int = 0  # quota of the audit record; 0: none
    audit_witness: str = ""  # address of the witness of the audit record
    audit_witness_key: str = ""
    redact_output: str = "terminal"  # terminal | all: where secrets are masked beside records and exports

    servers: tuple[McpServer, ...] = ()  # MCP servers whose tools the model gets
    profile: str = ""  # the profile in force
    secrets: tuple[str, ...] = field(default=(), repr=False)  # what no child, log or record may hold
    ephemeral: bool = False  # no session is stored; the audit record is written all the same
    origins: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}), compare=False
    )  # field -> the place that its value came from

    @property
    def scripted(self) -> bool:
        """No key and no server: the built-in scripted model answers."""
        return self.api_key is None and self.base_url is None

    @property
    def model_in_force(self) -> str:
        """The model that answers, as it is shown, recorded and told to rules: not one that is only configured."""
        return SCRIPTED_MODEL if self.scripted else self.model

    @property
    def database(self) -> Path:
        """Where sessions are kept."""
        return self.agent_home / "sessions.db"

    @property
    def audit(self) -> Path:
        """Folder of the audit record."""
        return self.agent_home / "audit"

    @property
    def rules(self) -> Path:
        """Folder of the user's own rule files."""
        return self.agent_home / "rules"

    @property
    def cache(self) -> Path:
        return self.agent_home / "cache"
