"""Where a confined command finds the proxy, and the variables that tell programs so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

ADDRESS: Final = "127.0.0.1"  # of the command's own loopback interface, which nobody else can reach
PORT: Final = 39128
_HTTP: Final = f"http://{ADDRESS}:{PORT}"
_SOCKS: Final = f"socks5h://{ADDRESS}:{PORT}"  # the same door speaks both
_OWN: Final = (
    ("localhost", ("localhost", ".localhost")),
    ("127.0.0.1", ("127.0.0.1", "127.0.0.0/8")),
    ("::1", ("::1", "[::1]")),
)

_TO_PROXY: Final = """
    HTTP_PROXY HTTPS_PROXY ALL_PROXY FTP_PROXY WS_PROXY WSS_PROXY PIP_PROXY CARGO_HTTP_PROXY
    YARN_HTTP_PROXY YARN_HTTPS_PROXY BUNDLE_HTTP_PROXY BUNDLE_HTTPS_PROXY
    npm_config_proxy npm_config_https_proxy
    http_proxy https_proxy all_proxy ftp_proxy ws_proxy wss_proxy
"""
_VARIABLES: Final[dict[str, str]] = {
    **dict.fromkeys(_TO_PROXY.split(), _HTTP),
    # Not in ALL_PROXY: httpx without its extra for SOCKS refuses to start wherever that names a SOCKS proxy.
    **dict.fromkeys(("SOCKS_PROXY", "socks_proxy"), _SOCKS),
    "NODE_USE_ENV_PROXY": "1",
    "ELECTRON_GET_USE_PROXY": "1",
}


def proxy_variables(loopback: Sequence[str]) -> dict[str, str]:
    """What a program reads. It asks the proxy for everything but its own loopback interface.

    A host of `loopback` means the user's: for those of its kind the proxy is asked, too.
    """
    kinds = {host if ":" in host else "127.0.0.1" if host[0].isdigit() else "localhost" for host in loopback}
    own = ",".join(name for kind, names in _OWN if kind not in kinds for name in names)
    return {**_VARIABLES, **dict.fromkeys(("NO_PROXY", "no_proxy", "npm_config_noproxy"), own)}
