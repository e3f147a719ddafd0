"""One spelling for each host: what is judged, what is looked up and what is connected to is the same text.

Names become lower-case ASCII without the last dot; addresses their shortest form. The odd spellings of IPv4
addresses (`0x7f.1`, `2130706433`) are read as the WHATWG URL standard reads them, an IPv4 address inside an
IPv6 one (`::ffff:1.2.3.4`) is that IPv4 address.
"""

from __future__ import annotations

import re

MOST: int = 1000  # characters of a spelling; the codec for names needs quadratic time
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.ASCII)
# Where the old and the new standard for names differ, one spelling means two hosts.
_TWO_MEANINGS = frozenset("ß\u1e9eς\u200c\u200d")


class BadName(ValueError):
    """The sentence goes on after `host`."""


def canonical(text: str) -> str:
    """The one spelling of `text`. Raises `BadName` for what names no host."""
    if not text or len(text) > MOST:
        raise BadName("is empty" if not text else "is too long")
    if text.startswith("["):
        if not text.endswith("]") or ":" not in text:
            raise BadName("has brackets that hold no address")
        return _six(text[1:-1])
    if ":" in text:
        return _six(text)
    name = (text if text.isascii() else _ascii(text)).lower().removesuffix(".")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return _four(name)
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise BadName("is no name of a host")
    return name


def is_address(name: str) -> bool:
    """Whether a canonical name is an IP address."""
    return ":" in name or name.rpartition(".")[2].isdigit()


def is_loopback(name: str) -> bool:
    """Whether a canonical name means the machine that looks it up (RFC 6761, 6.3)."""
    return (
        name == "::1" or f".{name}".endswith(".localhost") or (is_address(name) and name.startswith("127."))
    )


def _ascii(text: str) -> str:
    if _TWO_MEANINGS.intersection(text):
        raise BadName("has a letter that two standards read as different hosts: write it as `xn--...`")
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError:
        raise BadName("is no name of a host") from None


def _four(text: str) -> str:
    parts = text.split(".")
    if len(parts) > 4:
        raise BadName("ends in a number and is no address")
    numbers = [_number(part) for part in parts]
    *front, last = numbers
    if any(number > 255 for number in front) or last >= 256 ** (5 - len(numbers)):
        raise BadName("ends in a number and is no address")
    for place, number in enumerate(front):
        last += number << (8 * (3 - place))
    return ".".join(str(last >> shift & 255) for shift in (24, 16, 8, 0))


def _number(text: str) -> int:
    if len(text) > 40 or not _NUMBER.fullmatch(text):
        raise BadName("ends in a number and is no address")
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    try:
        return int(text, 8 if text.startswith("0") else 10)
    except ValueError:
        raise BadName("ends in a number and is no address") from None


def _six(text: str) -> str:
    from ipaddress import (  # only where there is one: this is on the way to a start
        AddressValueError,
        IPv6Address,
    )

    if "%" in text:
        raise BadName("has a zone, which means something on one machine only")
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise BadName("is no IPv6 address") from None
    return str(address.ipv4_mapped or address)
