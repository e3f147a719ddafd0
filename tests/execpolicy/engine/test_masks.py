"""What each kind of mask hides, what it leaves, and that a layer can only hide more."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execpolicy.bundle.load import PolicySource, load_policy
from execpolicy.decision import Layer
from execpolicy.diagnostics import render
from execpolicy.engine.compiled import dump, load
from execpolicy.engine.masks import Masks
from execpolicy.engine.policy import Policy
from execpolicy.engine.words import Places
from execpolicy.lang.lower import parse_rules
from execpolicy.shell.analyse import analyse

PLACES = Places("/w", "/w", "/home/ann")
FILE = """\
mask(program = ["mysql", "mariadb"], option = ["-p", "--password"], attached = True, id = "mysql")
mask(program = "docker", subcommand = "login", option = ["-p", "--password"], id = "docker")
mask(program = "lock", id = "lock")
mask(env = [glob("*_PIN"), "ACME"], id = "env")
mask(pattern = [regex("acme_[a-z0-9]{4}"), "open sesame"], id = "form")
mask(header = "X-Acme-Auth", id = "header")
mask(server = "vault", tool = glob("put*"), argument = "phrase", id = "argument")
mask(tool = "whole", id = "call")
mask(path = ["**/.env*", "~/.netrc"], id = "file")
"""


def policy(text: str, layer: Layer = Layer.USER) -> Policy:
    parsed = parse_rules(text, "a.rules", layer)
    assert [render(one) for one in parsed.diagnostics] == []
    return Policy.build([(layer, parsed.file)])


def masks(text: str = FILE) -> Masks:
    return Masks(policy(text).masks, places=PLACES, read=lambda script: analyse(script).commands)


def shown(text: str, tool: str | None = None, server: str | None = None, by: Masks | None = None) -> str:
    """The text with `*` for what is hidden."""
    hiding = masks() if by is None else by
    chars = list(text)
    found = list(hiding.find(text, tool, server))
    assert hiding.may(text, text.lower()) or tool or not found
    for one in found:
        chars[one.start : one.end] = "*" * (one.end - one.start)
    return "".join(chars)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("mysql -phunter2 db", "mysql -p******* db", id="attached"),
        pytest.param("mysql -p db", "mysql -p db", id="a-value-that-is-asked-for"),
        pytest.param("mariadb --password=a\\ b x", "mariadb --password=**** x", id="escaped"),
        pytest.param("mysql --password='a b' x", "mysql --password=***** x", id="quoted"),
        pytest.param("sudo mysql -u r -p'hun'ter2 x", "sudo mysql -u r -p********* x", id="carried"),
        pytest.param('mysql "-phunter2" x', 'mysql "-p*******" x', id="quoted-word"),
        pytest.param("mysql --pass=hunter2", "mysql --pass=*******", id="cut-short"),
        pytest.param("/usr/bin/mysql -px1y2", "/usr/bin/mysql -p****", id="by-path"),
        pytest.param("bash -c 'mysql -px1y2'", "bash -c 'mysql -p****'", id="inside-a-script"),
        pytest.param("if x; then mysql -px1y2; fi", "if x; then mysql -p****; fi", id="inside-an-if"),
        pytest.param("echo -phunter2", "echo -phunter2", id="another-program"),
        pytest.param("docker login -p a1 r", "docker login -p ** r", id="next-word"),
        pytest.param("docker run -p 80:80 i", "docker run -p 80:80 i", id="another-subcommand"),
        pytest.param("lock a bcd", "lock * ***", id="all-words"),
        pytest.param(
            "export MY_PIN='1 2'3; run", "export MY_PIN='***'*; run".replace("'*;", "**;"), id="env"
        ),
        pytest.param("docker run -e ACME=12 i", "docker run -e ACME=** i", id="env-option"),
        pytest.param("env 'MY_PIN=1 2' run", "env 'MY_PIN=***' run", id="env-quoted-outside"),
        pytest.param('{"MY_PIN": "12", "x": 1}', '{"MY_PIN": "**", "x": 1}', id="env-in-json"),
        pytest.param("MY_PINS=12", "MY_PINS=12", id="another-name"),
        pytest.param("a acme_12ab b", "a ********* b", id="form"),
        pytest.param("say open sesame!", "say ***********!", id="text"),
        pytest.param("curl -H 'x-acme-auth: a b' u", "curl -H 'x-acme-auth: ***' u", id="header"),
        pytest.param("X-Acme-Auth: a b\nHost: c", "X-Acme-Auth: ***\nHost: c", id="header-line"),
        pytest.param('{"phrase": {"a": [1]}, "b": 2}', '{"phrase": **********, "b": 2}', id="argument"),
        pytest.param("cat > .env <<E\nA=1\nE\nls", "cat > .env <<E\n***\nE\nls", id="here-document"),
        pytest.param(
            "cat > .env <<E\nA=1\ncat <<F\nE\nB\nF\nls",
            "cat > .env <<E\n***\n*******\n*\n*\nF\nls",
            id="here-document-in-another",
        ),
        pytest.param("cat > x <<E\nA=1\nE\nls", "cat > x <<E\nA=1\nE\nls", id="another-file"),
        pytest.param(
            "*** Begin Patch\n*** Add File: a/.env\n+A=1\n+B\n*** Update File: x\n+A=1\n*** End Patch",
            "*** Begin Patch\n*** Add File: a/.env\n+***\n+*\n*** Update File: x\n+A=1\n*** End Patch",
            id="patch",
        ),
        pytest.param(
            "diff --git a/.env b/.env\n--- a/.env\n+++ b/.env\n@@ -1 +1 @@\n-A=1\n+A=2\ndiff --git a/x b/x\n+A=1",
            "diff --git a/.env b/.env\n--- a/.env\n+++ b/.env\n@@ -1 +1 @@\n-***\n+***\ndiff --git a/x b/x\n+A=1",
            id="diff",
        ),
    ],
)
def test_what_is_hidden(text: str, want: str) -> None:
    assert shown(text) == want


@pytest.mark.parametrize(
    ("line", "before"),
    [
        pytest.param("lock a b c d\n", "", id="words"),
        pytest.param("a ", "lock ", id="one-word"),
        pytest.param("<<A\n", "cat .env\n", id="here-documents-without-end"),
        pytest.param("+++ .env\n", "", id="headers-of-a-patch"),
    ],
)
def test_what_is_hidden_many_times_is_told_once(line: str, before: str) -> None:
    """What is told grows as the text does, and not as its square: that would not end."""
    few, many = (sum(1 for _ in masks().find(before + line * size)) for size in (50, 500))
    assert many <= 11 * max(few, 1)
    text = before + line * 6000
    assert sum(1 for _ in masks().find(text)) <= len(text)


def test_the_tool_counts_where_it_is_known() -> None:
    text = '{"phrase": "abc"}'
    assert shown(text, "put", "vault") == shown(text) == '{"phrase": "***"}'
    assert shown(text, "get", "vault") == shown(text, "put", "other") == text
    assert shown('whole {"a": 1}', "whole") == "whole ********"


def test_what_a_script_reads() -> None:
    assert masks().reads("cat .env") == "file"
    assert masks().reads("base64 < ~/.netrc") == "file"
    assert masks().reads("cat env.py") is None


def test_a_compiled_policy_keeps_its_masks() -> None:
    made = policy(FILE)
    again = load(dump(made, "k"), "k")
    assert again is not None
    assert again.masks == made.masks
    assert len(made.masks) == 9


def test_examples_are_run(tmp_path: Path) -> None:
    path = tmp_path / "a.rules"
    path.write_text('mask(env = "A", match = ["B=1"])\nmask(path = "x", not_match = ["y/x"], id = "f")\n')
    loaded = load_policy([PolicySource(path, Layer.USER)])
    assert [one.message for one in loaded.diagnostics] == [
        "mask `a.rules:1` does not match this example",
        "mask `f` matches this example",
    ]
    assert len(loaded.policy.masks) == 2  # a file with a mistake hides no less


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("mask()", "E013", "needs one of"),
        ('mask(program = "a", env = "b")', "E016", "about one thing"),
        ('mask(env = "b", tool = "a")', "E016", "about one thing"),
        ('mask(env = "b", option = ["-p"])', "E013", "`option` needs `program`"),
        ('mask(pattern = glob("*x"))', "E015", "a glob is not a text to find"),
        ('mask(pattern = regex("a*"))', "E020", "fits an empty text"),
        ('mask(server = "x")', "E013", "`server` needs"),
        ('mask(env = path(within = "/"))', "E015", "is no path"),
        ('mask(program = "a", option = ["x"])', "E015", "begins with `-`"),
        ('mask(program = "a", option = [])', "E017", "cannot be empty"),
        ('mask(env = "b", envs = "b")', "E012", "has no key"),
        ('mask(env = "b", id = "a b")', "E021", "is not an id"),
        ('mask(env = "b", program = "")', "E017", "cannot be empty"),
    ],
)
def test_mistakes(text: str, code: str, message: str) -> None:
    found = parse_rules(text, "a.rules", Layer.USER).diagnostics
    assert code in [one.code for one in found]
    assert any(message in one.message for one in found)


@pytest.mark.parametrize("beside", ["owner = 3", 'decision = "allow"', "match = [1]", 'id = "a b"'])
def test_what_is_wrong_beside_a_mask_does_not_take_it_away(beside: str) -> None:
    parsed = parse_rules(f'mask(env = "A", {beside})', "a.rules", Layer.USER)
    assert parsed.diagnostics
    assert len(parsed.file.masks) == 1


LINES = FILE.splitlines()
TEXTS = (
    "mysql -phunter2 db",
    "export MY_PIN=12; docker login -p x",
    "a acme_12ab open sesame",
    "cat > .env <<E\nA=1\nE",
    "curl -H 'X-Acme-Auth: y' u",
)


@given(
    st.lists(st.sampled_from(LINES), unique=True),
    st.lists(st.sampled_from(LINES), unique=True),
    st.sampled_from(TEXTS),
)
def test_a_further_layer_never_hides_less(above: list[str], below: list[str], text: str) -> None:
    def both(*layers: tuple[Layer, list[str]]) -> Masks:
        files = [(layer, parse_rules("\n".join(lines), "a", layer).file) for layer, lines in layers]
        made = Policy.build(files).masks
        return Masks(made, places=PLACES, read=lambda script: analyse(script).commands)

    less = shown(text, by=both((Layer.USER, above)))
    more = shown(text, by=both((Layer.USER, above), (Layer.SESSION, below)))
    assert all(one == other or other == "*" for one, other in zip(less, more, strict=True))
