"""The host of a `network_rule`: Codex's form, and `*.` for sub-domains."""

from __future__ import annotations

from execpolicy.hostname import BadName, canonical


class BadHost(ValueError):
    """The sentence goes on after `host`."""


def read_host(text: str) -> tuple[str, int | None]:
    """Host in lower case and port, if one is written."""
    host = text.strip()
    if not host:
        raise BadHost("cannot be empty")
    if any(part in host for part in ("://", "/", "?", "#")):
        raise BadHost("must be a name or address, without scheme or path")
    host, port = _split(host)
    host = host.rstrip(".").lower()
    if not host:
        raise BadHost("cannot be empty")
    if any(char.isspace() or not char.isprintable() for char in host):
        raise BadHost("cannot hold white space")
    if "*" in host.removeprefix("*.") or host == "*.":
        raise BadHost("may hold `*` only as `*.` in front")
    return _spelled(host), port


def _spelled(host: str) -> str:
    """The spelling that connections are judged by. What no connection can name stays as it is written."""
    wild = "*." if host.startswith("*.") else ""
    try:
        name = canonical(host.removeprefix(wild))
    except BadName:
        return host
    return wild + name


def _split(host: str) -> tuple[str, int | None]:
    if host.startswith("["):
        inside, closed, behind = host[1:].partition("]")
        if not closed or not inside:
            raise BadHost("has brackets that hold no address")
        if not behind:
            return inside, None
        if behind[0] != ":" or not _digits(behind[1:]):
            raise BadHost(f"has `{behind}` behind its address")
        return inside, _port(behind[1:])
    if host.count(":") == 1:
        name, _, port = host.partition(":")
        if name and _digits(port):
            return name, _port(port)
    return host, None


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _port(text: str) -> int | None:
    """None for a number that is no port: Codex reads over any."""
    port = int(text[:6])
    return port if 0 < port < 65536 else None
