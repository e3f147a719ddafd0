"""The name in the first message of a TLS client."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.network.hello import Hello, Unread, read_hello


def real(name: str | None, protocols: tuple[str, ...] = ("h2", "http/1.1")) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = name is not None
    context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    if name is None:
        context.verify_mode = ssl.CERT_NONE
    side = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        side.do_handshake()
    return outgoing.read()


def records(body: bytes, size: int, kind: int = 22) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(bytes((kind, 3, 1)) + len(part).to_bytes(2, "big") + part for part in parts)


def hand_made(*names: bytes, kind: int = 0, twice: bool = False, tail: bytes = b"") -> bytes:
    listed = b"".join(bytes((kind,)) + len(name).to_bytes(2, "big") + name for name in names)
    listed = len(listed).to_bytes(2, "big") + listed
    extension = b"\0\0" + len(listed).to_bytes(2, "big") + listed
    extensions = extension * (2 if twice else 1)
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0"
    body += len(extensions).to_bytes(2, "big") + extensions + tail
    return records(b"\1" + len(body).to_bytes(3, "big") + body, 1 << 14)


@pytest.mark.parametrize("name", ["example.org", "a.very-long." + "x" * 60 + ".test", None])
def test_a_real_client(name: str | None) -> None:
    assert read_hello(real(name)) == Hello(name)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_message_in_many_records(size: int) -> None:
    assert read_hello(records(real("example.org")[5:], size)) == Hello("example.org")


def test_every_start_of_it_wants_more() -> None:
    whole = real("example.org")
    for end in range(len(whole)):
        assert read_hello(whole[:end]) is Unread.MORE


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="http"),
        pytest.param(b"\x16\x02\0\0\1\1", id="old"),
        pytest.param(b"\x16\x03\1\0\0", id="empty-record"),
        pytest.param(b"\x16\x03\1\xff\xff" + bytes(70000), id="long-record"),
        pytest.param(records(b"\2\0\0\1\0", 100), id="server-hello"),
        pytest.param(records(b"\1\xff\xff\xff", 100), id="endless"),
        pytest.param(records(b"\1\0\0\2\3\3", 100), id="cut-inside"),
        pytest.param(hand_made(b"good.test", b"evil.test"), id="two-names"),
        pytest.param(hand_made(b"good.test", twice=True), id="two-extensions"),
        pytest.param(hand_made(b"good.test", tail=b"x"), id="more-behind"),
        pytest.param(hand_made(b"good.test", kind=1), id="another-kind"),
        pytest.param(hand_made(b"g\xffd.test"), id="not-ascii"),
        pytest.param(hand_made(), id="no-name-in-the-list"),
        pytest.param(records(b"\1\0\1\0" + bytes(100), 50)[:55] + b"\x15\3\1\0\2\1\0", id="alert-between"),
    ],
)
def test_what_cannot_be_read_is_none(data: bytes) -> None:
    assert read_hello(data) is Unread.NONE


def test_made_by_hand() -> None:
    assert read_hello(hand_made(b"good.test")) == Hello("good.test")


@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda data: b"\x16\3\1" + data))
def test_any_bytes_have_an_answer(data: bytes) -> None:
    found = read_hello(data)
    assert isinstance(found, Hello | Unread)


@given(st.data())
def test_a_changed_hello_has_an_answer(data: st.DataObject) -> None:
    whole = bytearray(hand_made(b"good.test"))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    assert isinstance(read_hello(bytes(whole)), Hello | Unread)
