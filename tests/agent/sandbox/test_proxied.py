"""Programs ask the proxy for everything but their own loopback interface."""

from __future__ import annotations

import pytest

from agent.sandbox.proxied import proxy_variables
from execpolicy.hostname import is_loopback


@pytest.mark.parametrize(
    ("named", "own"),
    [
        ((), {"localhost", ".localhost", "127.0.0.1", "127.0.0.0/8", "::1", "[::1]"}),
        (("localhost",), {"127.0.0.1", "127.0.0.0/8", "::1", "[::1]"}),
        (("*.localhost",), {"127.0.0.1", "127.0.0.0/8", "::1", "[::1]"}),
        (("127.0.0.1", "127.0.0.2"), {"localhost", ".localhost", "::1", "[::1]"}),
        (("::1", "localhost", "127.1.2.3"), {""}),
    ],
)
def test_a_loopback_that_a_rule_names_is_the_users(named: tuple[str, ...], own: set[str]):
    variables = proxy_variables(named)
    for name in ("NO_PROXY", "no_proxy", "npm_config_noproxy"):
        assert set(variables[name].split(",")) == own
    assert variables["HTTP_PROXY"] == "http://127.0.0.1:39128"


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("notlocalhost", False),
        ("localhost.example.com", False),
        ("127.example.com", False),
        ("10.0.0.1", False),
        ("::2", False),
    ],
)
def test_loopback_names(host: str, is_own: bool):
    assert is_loopback(host) is is_own
