"""Files to a policy: a bad file costs its own allows, and a cache is trusted only when it is ours."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from execpolicy.bundle.load import Loaded, PolicySource, load_policy
from execpolicy.bundle.machine import layer_sources
from execpolicy.decision import Decision, Layer
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext

CONTEXT = CheckContext(cwd="/ws", workspace="/ws", today="2026-06-01")
GOOD = 'prefix_rule(pattern = ["good"], decision = "allow")\n'
MIXED = 'prefix_rule(pattern = ["a"], decision = "allow")\nprefix_rule(pattern = ["d"], decision = "deny")\n'


def load(folder: Path, *, cache: Path | None = None, **texts: str | bytes) -> Loaded:
    sources = []
    for name, text in texts.items():
        path = folder / f"{name}.rules"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        sources.append(PolicySource(path, Layer.USER))
    return load_policy(sources, cache_dir=cache)


def decide(loaded: Loaded, script: str) -> Decision:
    return check(script, loaded.policy, CONTEXT).decision


@pytest.mark.parametrize(
    ("broken", "codes"),
    [
        pytest.param('prefix_rule(pattern = ["x"], decision = "alow")\n', {"E014"}, id="no-decision"),
        pytest.param("prefix_rule(\n", None, id="cut-off"),
        pytest.param('prefix_rule(pattern = ["x"], match = ["y"])\n', {"E030"}, id="match-fails"),
        pytest.param('prefix_rule(pattern = ["x"], not_match = ["x y"])\n', {"E031"}, id="not-match-fails"),
        pytest.param('defaults(unmatched = "allow")\nnonsense()\n', None, id="default-allow-is-off-too"),
    ],
)
def test_a_broken_file_loses_its_allows_only(tmp_path: Path, broken: str, codes: set[str] | None) -> None:
    loaded = load(tmp_path, one=GOOD, two=MIXED + broken)
    found = {diagnostic.code for diagnostic in loaded.diagnostics}
    assert found == codes if codes is not None else found
    assert [file.usable for file in loaded.files] == [True, False]
    assert [decide(loaded, script) for script in ("good", "a", "d")] == [
        Decision.ALLOW,
        Decision.ASK,
        Decision.DENY,
    ]


def test_every_error_of_every_file_is_reported(tmp_path: Path) -> None:
    bad = 'prefix_rule(pattern = [], decision = "allow")\nprefix_rule(pattern = ["x"], decision = "maybe")\n'
    loaded = load(tmp_path, one=bad, two=bad)
    assert len(loaded.diagnostics) == 4
    assert len({(one.source.path, one.span) for one in loaded.diagnostics}) == 4


def test_the_place_of_a_failing_example(tmp_path: Path) -> None:
    text = '# x\nprefix_rule(\n    pattern = ["git"],\n    match = ["git x", "hg y"],\n)\n'
    (diagnostic,) = load(tmp_path, one=text).diagnostics
    assert text[diagnostic.span.start : diagnostic.span.end] == '"hg y"'


@pytest.mark.parametrize(
    "text",
    [
        'prefix_rule(pattern = ["git"], match = ["git x", "/usr/bin/git x", "./git", ["git", "a b"], "git && rm"])\n',
        'prefix_rule(pattern = ["git"], not_match = ["git;rm", "hg", "sudo git x"])\n',
        'prefix_rule(pattern = ["git", "push"], match = ["sudo git push", "bash -c \'git push\'"])\n',
        'prefix_rule(pattern = ["x"], when = branch == "main", match = ["x"], decision = "deny")\n',
        'command_rule(program = "rm", flags = all_of("-r"), decision = "deny", match = ["rm -fr x"],'
        ' not_match = ["rm x"])\n',
        'path_rule(paths = ["**/.env"], access = ["read"], decision = "deny", match = ["a/.env", "cat .env"])\n',
    ],
)
def test_examples_that_hold(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, one=text).diagnostics == ()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "loop.rules").symlink_to(tmp_path / "loop.rules")
    names = ("missing.rules", "loop.rules", ".")
    loaded = load_policy([PolicySource(tmp_path / name, Layer.USER) for name in names])
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == ["E040"] * 3
    assert not any(file.usable for file in loaded.files)


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    loaded = load(tmp_path, one=b"# \xff\n" + MIXED.encode())
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == ["E042"]
    assert decide(loaded, "d") is Decision.DENY


# --- the cache --------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir()) if cache.exists() else []


def test_a_cached_policy_answers_alike(tmp_path: Path, cache: Path) -> None:
    first = load(tmp_path, cache=cache, one=MIXED)
    assert (cache.stat().st_mode & 0o777, len(entries(cache))) == (0o700, 1)
    again = load(tmp_path, cache=cache, one=MIXED)
    assert type(again.policy.rules) is not type(first.policy.rules)
    assert list(again.policy.rules) == list(first.policy.rules)
    assert again.files == first.files


def test_another_text_is_another_entry(tmp_path: Path, cache: Path) -> None:
    load(tmp_path, cache=cache, one=MIXED)
    assert decide(load(tmp_path, cache=cache, one=GOOD), "a") is Decision.ASK
    assert len(entries(cache)) == 2


def test_broken_files_are_not_cached(tmp_path: Path, cache: Path) -> None:
    load(tmp_path, cache=cache, one="nonsense()")
    assert entries(cache) == []


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "noise"])
def test_a_damaged_entry_is_rebuilt(tmp_path: Path, cache: Path, harm: str) -> None:
    load(tmp_path, cache=cache, one=MIXED)
    (entry,) = entries(cache)
    data = entry.read_bytes()
    harmed = {"cut": data[:-3], "flip": data[:-3] + b"!" + data[-2:], "empty": b"", "noise": os.urandom(300)}[
        harm
    ]
    entry.write_bytes(harmed)
    assert decide(load(tmp_path, cache=cache, one=MIXED), "d") is Decision.DENY
    assert entry.read_bytes() == data


def test_a_folder_that_others_may_write_is_not_used(tmp_path: Path, cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    load(tmp_path, cache=cache, one=MIXED)
    assert entries(cache) == []


def test_an_entry_that_others_may_write_is_not_trusted(tmp_path: Path, cache: Path) -> None:
    load(tmp_path, cache=cache, one=MIXED)
    (entry,) = entries(cache)
    entry.chmod(0o666)
    assert isinstance(load(tmp_path, cache=cache, one=MIXED).policy.rules, tuple)


def test_a_link_is_not_followed(tmp_path: Path, cache: Path) -> None:
    load(tmp_path, cache=cache, one=MIXED)
    (entry,) = entries(cache)
    entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(tmp_path / "elsewhere")
    assert isinstance(load(tmp_path, cache=cache, one=MIXED).policy.rules, tuple)


def test_the_cache_stays_small(tmp_path: Path, cache: Path) -> None:
    for number in range(20):
        load(tmp_path, cache=cache, one=MIXED + f"# {number}\n")
    assert len(entries(cache)) == 16


@pytest.mark.parametrize("given", [b"", GOOD.encode()])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path, given: bytes) -> None:
    pipe = tmp_path / "x.rules"
    os.mkfifo(pipe)
    keeper = os.open(pipe, os.O_RDWR) if given else None
    if keeper is not None:
        os.write(keeper, given)
        threading.Timer(0.1, os.close, [keeper]).start()
    loaded = load_policy([PolicySource(pipe, Layer.SESSION)])
    assert [file.usable for file in loaded.files] == [bool(given)]
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == ([] if given else ["E040"])


def test_a_rule_file_that_is_no_file_is_told_not_passed_over(tmp_path: Path) -> None:
    rules = tmp_path / "home" / "rules"
    rules.mkdir(parents=True)
    os.mkfifo(rules / "pipe.rules")
    (rules / "zero.rules").symlink_to("/dev/zero")
    (rules / "folder.rules").mkdir()
    loaded = load_policy(layer_sources(tmp_path / "home", tmp_path))
    assert [(Path(file.path).name, file.usable) for file in loaded.files] == [
        ("pipe.rules", False),
        ("zero.rules", False),
    ]


def test_examples_of_a_proven_file_are_not_run_again(tmp_path: Path):
    path = tmp_path / "a.rules"
    path.write_text('prefix_rule(pattern=["ls"], decision="allow", match=["rm x"])\n')
    assert load_policy([PolicySource(path, Layer.USER)]).broken
    assert not load_policy([PolicySource(path, Layer.USER, proven=True)]).broken
