"""Which addresses are not the public internet."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.network.addresses import not_public


@pytest.mark.parametrize(
    "text",
    [
        *["127.0.0.1", "127.255.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
        *["169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"],
        *["192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1"],
        *["255.255.255.255", "192.88.99.1", "::", "::1", "fe80::1", "fe80::1%lo", "fc00::1", "fd00:ec2::254"],
        *["ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "64:ff9b::a00:1", "64:ff9b::808:808"],
        *[
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:808:808::",
            "2001:0:1::1",
            "2001:db8::1",
            "3fff::1",
            "4000::1",
        ],
        *["5f00::1", "fec0::1", "100::1", "", "localhost", "1.2.3", "0x7f.1"],
    ],
)
def test_not_public(text: str) -> None:
    assert not_public(text)


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.8",
        "1.1.1.1",
        "172.15.0.1",
        "172.32.0.1",
        "100.128.0.1",
        "192.0.1.1",
        "2606:4700::1111",
        "2a00::1",
    ],
)
def test_public(text: str) -> None:
    assert not_public(text) is None


@given(st.ip_addresses())
def test_nothing_is_public_that_the_standard_library_knows_as_special(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not_public(str(address))
