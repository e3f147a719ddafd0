"""The MCP servers of the settings: how each is started or reached, how long it may take, what of it is offered."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

import msgspec

from execpolicy.values import field, frozen

SERVERS = "mcp_servers"  # [mcp_servers.NAME]: user's file and -c only
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")


@frozen(kw_only=True)
class McpServer:
    """One server. It is a program (`command`) or an address (`url`)."""

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    env_vars: tuple[str, ...] = ()  # variables of ours that it gets
    cwd: str = ""
    url: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    header_vars: tuple[tuple[str, str], ...] = ()  # header -> variable that holds its value
    token_var: str = ""  # variable that holds a bearer token
    startup_seconds: float = 10.0
    tool_seconds: float = 60.0
    only: tuple[str, ...] | None = None  # tools that are offered; None: all
    never: tuple[str, ...] = ()


class _Table(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """As it is written, with Codex's names."""

    command: str = ""
    args: list[str] = []
    env: dict[str, str] = {}
    env_vars: list[str] = []
    cwd: str = ""
    url: str = ""
    http_headers: dict[str, str] = {}
    env_http_headers: dict[str, str] = {}
    bearer_token_env_var: str = ""
    startup_timeout_sec: float = 10.0
    startup_timeout_ms: float | None = None
    tool_timeout_sec: float = 60.0
    enabled: bool = True
    enabled_tools: list[str] | None = None
    disabled_tools: list[str] = []


KEYS = _Table.__struct_fields__


def unknown_key(name: str, about: Mapping[str, object]) -> str | None:
    """A sentence that says what is wrong with the name of a server or of a key."""
    full = f"{SERVERS}.{name}"
    if not _NAME.match(name):
        return f"`{full}`: a name has at most 32 letters, digits, `-` and `_`"
    for key in about:
        if key not in KEYS:
            close = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.5)
            return f"unknown key `{full}.{key}`" + (f", did you mean `{close[0]}`?" if close else "")
    return None


def merged(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Two tables of one server as one: what stands above holds, of tables in it key by key."""
    found = dict(below)
    for key, value in above.items():
        before = found.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            value = {**before, **value}
        found[key] = value
    return found


def read_server(name: str, about: Mapping[str, object]) -> McpServer | str | None:
    """The server that `about` describes; None when it is switched off; a sentence that says what is wrong."""
    full = f"{SERVERS}.{name}"
    if wrong := unknown_key(name, about):
        return wrong
    try:
        table = msgspec.convert(dict(about), _Table)
    except msgspec.ValidationError as error:
        return f"`{full}`: {str(error)[:1].lower()}{str(error)[1:]}"
    if bool(table.command) is bool(table.url):
        return f"`{full}` needs either `command` or `url`"
    if table.url and not re.match(r"https?://[^\s/]+\S*\Z", table.url):
        return f"`{full}.url` must be an http or https address"
    startup = (
        table.startup_timeout_sec if table.startup_timeout_ms is None else table.startup_timeout_ms / 1000
    )
    if not (0 < startup <= 600 and 0 < table.tool_timeout_sec <= 86_400):
        return f"`{full}`: time-outs lie between 0 and 600 (start) or 86400 (tools) seconds"
    texts = (
        table.command,
        *table.args,
        *table.env,
        *table.env.values(),
        table.cwd,
        *table.http_headers.values(),
    )
    if any("\0" in text or "\n" in text for text in texts):
        return f"`{full}` holds a NUL or a line break"
    if not table.enabled:
        return None
    return McpServer(
        name=name,
        command=table.command,
        args=tuple(table.args),
        env=tuple(table.env.items()),
        env_vars=tuple(table.env_vars),
        cwd=table.cwd,
        url=table.url,
        headers=tuple(table.http_headers.items()),
        header_vars=tuple(table.env_http_headers.items()),
        token_var=table.bearer_token_env_var,
        startup_seconds=startup,
        tool_seconds=table.tool_timeout_sec,
        only=None if table.enabled_tools is None else tuple(table.enabled_tools),
        never=tuple(table.disabled_tools),
    )
