"""What is left out to be quick changes nothing: a text that is not looked through holds nothing."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.events import Asked, Decided, PolicyLoaded
from compliance.redact import Redactor
from compliance.secrets import HINTS, NAME_HINTS, hinted, is_secret_name
from compliance.stream import CARRY, Stream
from execpolicy.decision import Decision, Layer, Verdict
from execpolicy.engine.masks import Masks
from execpolicy.engine.policy import Policy
from execpolicy.engine.words import Places
from execpolicy.lang.literals import shortest
from execpolicy.lang.lower import parse_rules
from execpolicy.shell.analyse import analyse

VALUES = ("k7-Qz/9f+Wd=2mXb_81LpR.tY", "hunter2hunter", "--..!!??", "qwerty-0987-zz")
PIECES = st.sampled_from(
    [
        *(*VALUES, "hunter2", "k7-Qz/9f", "--token ", "PASSWORD=", "api_key: ", "Zx81abQ2cc", "git status"),
        *("/srv/path", " ", "\n", "\r\n", "'", '"', "\\", "%41", "ghp_", "a1" * 12, "AAAA" * 30, "Bearer "),
        *("[", "...", "lock", " -z ", "DB_PIN=", "x-acme: ", "pat=", "k-7-Q-z-9-f-W-d-2-m-X-b-8-1-L-p-R-t-Y"),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=6), max_size=8).map("".join)
ENDING = re.compile(r"(?:[A-Za-z0-9+/=_-]{16,200}[ \t]*\r?\n)*\S*\Z")
NAMING = re.compile(r"[\w\"'-]+[ \t]*[:=]?[ \t]*[\"']?\Z")


@settings(deadline=None)
@given(TEXTS)
def test_what_is_shown_unread_holds_no_secret(text: str) -> None:
    hide = Redactor(VALUES)
    assert (hide.in_shown(text) or []) == (hide.find(text) if len(text) > 1 else [])


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=2, max_size=4))
def test_an_event_is_masked_as_each_of_its_texts_is(texts: list[str]) -> None:
    hide = Redactor(VALUES)
    event = PolicyLoaded("session", (), errors=tuple(texts))
    secret = [bool(hide.find(text)) for text in texts]
    if any(secret):
        masked = hide.event(event).errors
        assert all(one != text for one, text, holds in zip(masked, texts, secret, strict=True) if holds)
    else:
        assert hide.event(event) is event


def test_what_one_tool_may_show_another_may_not() -> None:
    """A text is remembered to hold nothing only where it does so whoever is called."""
    parsed = parse_rules('mask(tool = "put", argument = "phrase")', "a.rules", Layer.USER)
    found = Policy.build([(Layer.USER, parsed.file)]).masks
    hide = Redactor(masks=Masks(found, places=Places("/w", "/w", "/h"), read=lambda _: ()))
    text = '{"phrase": "open sesame"}'

    def called(tool: str) -> str:
        asked = Asked(form="tool", tool=tool, arguments=text)
        verdict = Verdict(decision=Decision.ALLOW)
        shown = hide.event(
            Decided("s", call="c", tool=tool, subject="", cwd="/w", verdict=verdict, asked=asked)
        )
        assert isinstance(shown, Decided)
        assert shown.asked is not None
        return shown.asked.arguments

    assert called("get") == text
    assert "open" not in called("put")
    assert called("get") == text


def test_an_event_of_many_secrets_is_masked_in_one_pass_over_each() -> None:
    text = "\n".join(f"password=x1y2z3a{at}" for at in range(2000))
    masked = Redactor().event(PolicyLoaded("session", (), errors=(text,))).errors[0]
    assert masked == "\n".join(["password=[masked:value]"] * 2000)


@settings(deadline=None)
@given(TEXTS)
def test_the_end_that_waits_is_the_one_that_the_expressions_tell(text: str) -> None:
    blob = ENDING.search(text, max(0, len(text) - CARRY))
    assert blob is not None
    at = blob.start()
    naming = NAMING.search(text[max(0, at - 200) : at])
    at = at if naming is None else max(0, at - 200) + naming.start()
    assert Stream(Redactor())._safe(text) == at


@settings(deadline=None)
@given(st.text(max_size=60))
def test_fewer_hints_tell_the_same(text: str) -> None:
    every = (*NAME_HINTS, *HINTS)
    assert any(one in text for one in every) == any(one in text for one in shortest(every))


@settings(deadline=None)
@given(
    st.lists(TEXTS, min_size=1, max_size=6),
    st.sampled_from(["", "a line of a build, one after the other\n" * 14]),
)
def test_a_stream_that_looks_at_what_is_new_shows_what_one_shows_that_looks_at_all(
    pieces: list[str], before: str
) -> None:
    quick, whole = Stream(Redactor(VALUES, masks=masks())), Stream(Redactor(VALUES, masks=masks()))
    for piece in (before, *pieces):
        whole._clear = 0
        assert quick.feed(piece) == whole.feed(piece)
    assert quick.finish() == whole.finish()


def masks() -> Masks:
    parsed = parse_rules(
        'mask(program = "lock", option = ["-z"], id = "a")\nmask(env = glob("*_PIN"), id = "b")\n'
        'mask(pattern = regex("a1a1[a-z0-9]{8}"), id = "c")\nmask(header = "X-Acme", id = "d")\n',
        "a.rules",
        Layer.USER,
    )
    assert not parsed.diagnostics
    found = Policy.build([(Layer.USER, parsed.file)]).masks
    return Masks(found, places=Places("/w", "/w", "/h"), read=lambda script: analyse(script).commands)


@settings(deadline=None)
@given(st.text("aApPtT _-x1", max_size=12))
def test_a_name_that_is_secret_is_hinted_at(name: str) -> None:
    if is_secret_name(name):
        text = f"{name}=1"
        assert hinted(text, text.lower())
