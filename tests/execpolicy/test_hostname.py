"""One spelling for each host."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execpolicy.hostname import BadName, canonical, is_address


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("Example.COM", "example.com", id="case"),
        pytest.param("example.com.", "example.com", id="last-dot"),
        pytest.param("bücher.de", "xn--bcher-kva.de", id="letters"),
        pytest.param("XN--BCHER-KVA.de", "xn--bcher-kva.de", id="punycode"),
        pytest.param("a。b", "a.b", id="ideographic-dot"),
        pytest.param("１２７.0.0.1", "127.0.0.1", id="wide-digits"),
        pytest.param("_srv.x_y.org", "_srv.x_y.org", id="underscores"),
        pytest.param("127.0.0.1", "127.0.0.1", id="address"),
        pytest.param("127.1", "127.0.0.1", id="short"),
        pytest.param("0x7f.1", "127.0.0.1", id="hex"),
        pytest.param("0X7F000001", "127.0.0.1", id="one-hex"),
        pytest.param("2130706433", "127.0.0.1", id="one-number"),
        pytest.param("0177.0.0.01", "127.0.0.1", id="octal"),
        pytest.param("127.0.0.1.", "127.0.0.1", id="address-and-dot"),
        pytest.param("10.65535", "10.0.255.255", id="wide-last"),
        pytest.param("0x.0x.0x.0x", "0.0.0.0", id="empty-hex"),
        pytest.param("[::1]", "::1", id="brackets"),
        pytest.param("2001:DB8:0:0::1", "2001:db8::1", id="six"),
        pytest.param("::ffff:169.254.169.254", "169.254.169.254", id="mapped"),
        pytest.param("[::FFFF:7f00:1]", "127.0.0.1", id="mapped-in-hex"),
    ],
)
def test_spellings(text: str, want: str) -> None:
    assert canonical(text) == want


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            ".",
            "..",
            "a..b",
            "a..",
            ".a",
            "-a.b",
            "a-.b",
            "a b",
            "a\n",
            "a/b",
            "a%2eb",
            "a@b",
            "a#b",
            "*.a",
        ],
        *["1.2.3.4.5", "256.1.1.1", "1.2.3.256", "4294967296", "09", "a.1", "1.a.0x1", "foo.08"],
        *["[::1", "::1]", "[]", "[a]", "[1.2.3.4]", "fe80::1%eth0", "[fe80::1%25eth0]", ":::", "a:b", "1:2"],
        *[
            "faß.de",
            "x\u200dy",
            "ς.gr",
            "a" * 64,
            ".".join(["a" * 60] * 5),
            "a" * 5000,
            "é" * 900,
            "\udc80.com",
            "\0",
        ],
    ],
)
def test_what_names_no_host(text: str) -> None:
    with pytest.raises(BadName):
        canonical(text)


@given(st.text(max_size=80) | st.text("0123456789abcdefxX.:[]-%_*", max_size=40))
def test_a_spelling_is_the_end_of_it(text: str) -> None:
    try:
        name = canonical(text)
    except BadName:
        return
    assert canonical(name) == name
    assert name.isascii()
    assert name == name.lower()
    if is_address(name):
        assert str(ipaddress.ip_address(name)) == name


@given(
    st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=4), st.lists(st.sampled_from("dxo"), min_size=4)
)
def test_addresses_are_read_as_the_system_reads_them(numbers: list[int], bases: list[str]) -> None:
    forms = {"d": str, "x": hex, "o": lambda n: f"0{n:o}"}
    text = ".".join(forms[base](number) for number, base in zip(numbers, bases, strict=False))
    try:
        want: str | None = socket.inet_ntoa(socket.inet_aton(text))
    except OSError:
        want = None
    try:
        assert canonical(text) == want
    except BadName:
        assert want is None
