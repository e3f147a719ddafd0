"""How much of a corpus of secrets is found, and how little else: every miss and every false alarm is printed."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from planted import INNOCENT, PLACES, TOKENS, TOLD

from compliance.redact import Redactor
from compliance.stream import Stream
from execpolicy.bundle.load import PolicySource, load_policy
from execpolicy.bundle.shipped import folder
from execpolicy.decision import Layer
from execpolicy.engine.masks import Masks
from execpolicy.engine.words import Places
from execpolicy.shell.analyse import analyse

VALUE = "k7-Qz/9f+Wd=2mXb_81LpR.tY"


@pytest.fixture(scope="module")
def masks() -> Masks:
    place = folder()
    assert place is not None
    loaded = load_policy([PolicySource(place / "masking" / "masking.rules", Layer.USER)])
    assert loaded.diagnostics == ()
    return Masks(
        loaded.policy.masks,
        places=Places("/w", "/w", "/home/ann"),
        read=lambda script: analyse(script).commands,
    )


def test_precision_and_recall(masks: Masks) -> None:
    planted = {
        **{place.format(s=token): token for token in TOKENS.values() for place in PLACES.values()},
        **TOLD,
    }
    missed = [text for text, secret in planted.items() if secret in Redactor(masks=masks).text(text)]
    alarms = [(text, Redactor(masks=masks).text(text)) for text in INNOCENT]
    false = [f"{text}\n    -> {shown}" for text, shown in alarms if shown != text]
    found = len(planted) - len(missed)
    told = (
        f"recall {found}/{len(planted)} = {found / len(planted):.4f}, "
        f"precision {found}/{found + len(false)} = {found / (found + len(false)):.4f}\n"
        + "\n".join(("missed:", *missed, "false alarms:", *false))
    )
    assert not missed, told
    assert not false, told


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "base64": lambda one: base64.b64encode(one.encode()).decode(),
    "base64-1": lambda one: base64.b64encode(b"a" + one.encode() + b"bc").decode(),
    "base64-2": lambda one: base64.b64encode(b"ab" + one.encode() + b"c").decode(),
    "base64-url-unpadded": lambda one: base64.urlsafe_b64encode(one.encode()).decode().rstrip("="),
    "base64-wrapped": lambda one: "\n".join(
        base64.b64encode(one.encode() * 3).decode()[at : at + 16] for at in range(0, 100, 16)
    ),
    "base64-utf-16": lambda one: base64.b64encode(one.encode("utf-16-le")).decode(),
    "base32": lambda one: base64.b32encode(one.encode()).decode(),
    "hex": lambda one: one.encode().hex(),
    "hex-upper": lambda one: one.encode().hex().upper(),
    "hex-spaced": lambda one: one.encode().hex(" "),
    "hex-colons": lambda one: one.encode().hex(":"),
    "hex-array": lambda one: ", ".join(f"0x{byte:02x}" for byte in one.encode()),
    "percent": lambda one: "".join(f"%{byte:02X}" for byte in one.encode()),
    "percent-some": lambda one: quote(one, safe=""),
    "json-u": lambda one: "".join(f"\\u{ord(char):04x}" for char in one),
    "x": lambda one: "".join(f"\\x{ord(char):02x}" for char in one),
    "octal": lambda one: "".join(f"\\{ord(char):03o}" for char in one),
    "html": lambda one: "".join(f"&#{ord(char)};" for char in one),
    "html-hex": lambda one: "".join(f"&#x{ord(char):x};" for char in one),
    "shell-split": lambda one: f"'{one[:7]}'\"{one[7:12]}\"{one[12:]}",
    "shell-escaped": lambda one: "".join(f"\\{char}" if not char.isalnum() else char for char in one),
    "two-words": lambda one: f"{one[:10]} {one[10:]}",
    "joined": lambda one: f'"{one[:10]}" + "{one[10:]}"',
    "line-continued": lambda one: f"{one[:9]}\\\n{one[9:]}",
    "reversed": lambda one: one[::-1],
    "upper": str.upper,
    "twice": lambda one: quote(base64.b64encode(one.encode()).decode(), safe=""),
    "cut-at-the-end": lambda one: "x" * 20 + one[:12],
    "cut-in-the-middle": lambda one: f"{one[:11]}…9 tokens truncated…{one[-11:]}",
}


def left_of(shown: str) -> str:
    """The letters and digits of a text that are not of a marker."""
    return "".join(char for char in shown.replace("[masked:known]", "") if char.isalnum())


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_known_value_is_found_however_it_is_written(name: str) -> None:
    text = ENCODINGS[name](VALUE)
    shown = Redactor([VALUE]).text(text)
    assert "[masked:known]" in shown
    if "cut" not in name:
        assert len(left_of(shown)) <= (12 if "base64-wrapped" in name else 8), shown
    else:
        assert VALUE[:9] not in shown
        assert VALUE[-9:] not in shown


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 50])
@pytest.mark.parametrize(
    "text",
    [
        f"before {VALUE} after\n",
        f"curl -H 'Authorization: Bearer {TOKENS['openai']}' u\nmore\n",
        f"-----BEGIN RSA PRIVATE KEY-----\n{'QkVHSU4=' * 40}\n{VALUE}\n-----END RSA PRIVATE KEY-----\nok\n",
        f"password: {VALUE}\n",
        "x\n" + ENCODINGS["base64-wrapped"](VALUE) + "\ny\n",
        f"a {TOKENS['github']} b {TOKENS['stripe']}",
        VALUE,
    ],
)
def test_pieces_of_a_stream_show_what_the_whole_would(text: str, size: int) -> None:
    stream = Stream(Redactor([VALUE]))
    pieces = [stream.feed(text[at : at + size]) for at in range(0, len(text), size)]
    shown = "".join((*pieces, stream.finish()))
    for secret in (VALUE, TOKENS["openai"], TOKENS["github"], TOKENS["stripe"], "QkVHSU4=QkVH"):
        assert secret not in shown
    assert ENCODINGS["base64"](VALUE)[8:30] not in shown.replace("\n", "")
    assert "[masked:" in shown
    for kept in ("before ", " after", "more", "ok\n"):
        assert (kept in shown) is (kept in text)


def test_a_stream_without_secrets_is_shown_as_it_comes() -> None:
    text = "Compiling a v0.1.0 (/srv/a)\nFinished in 2.31s\n" * 20
    stream = Stream(Redactor([VALUE]))
    shown = ""
    for at in range(0, len(text), 10):
        shown += stream.feed(text[at : at + 10])
        assert len(text[: at + 10]) - len(shown) <= 60  # the last word or two wait
    assert shown + stream.finish() == text
