"""Patches on real files: the text that comes out, what is refused, and that a failure changes nothing."""

# ruff: noqa: E501 - a case is one row

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import PatchError
from agent.patch.apply import apply
from agent.patch.parse import parse_patch
from agent.patch.plan import accesses, plan
from execpolicy.facts import Access

FILE = "def a():\n    return 1\n\n\ndef b():\n    return 1\n"


def patch(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


def run(folder: Path, text: str) -> None:
    apply(plan(parse_patch(text), str(folder)))


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        pytest.param(FILE, ["@@ def b():", "-    return 1", "+    return 2"], FILE[:-2] + "2\n", id="context-line"),
        pytest.param(FILE, [" def b():", "-    return 1", "+    return 2"], FILE[:-2] + "2\n", id="kept-line"),
        pytest.param(FILE, ["@@ def b():", " def b():", "-    return 1", "+    return 2"], FILE[:-2] + "2\n", id="context-line-twice"),
        pytest.param(FILE, ["-    return 1", "+    return 2", "*** End of File"], FILE[:-2] + "2\n", id="end-of-file"),
        pytest.param(FILE, ["@@ def a():", "+    x = 0"], FILE.replace("a():\n", "a():\n    x = 0\n"), id="insert-after-context"),
        pytest.param(FILE, ["+# end"], FILE + "# end\n", id="insert-at-end"),
        pytest.param("", ["+a"], "a\n", id="into-empty"),
        pytest.param("a\nb\n", ["-a", "-b"], "", id="to-empty"),
        pytest.param("a  \nb\t\n", [" a", "-b", "+c"], "a  \nc\n", id="trailing-space-of-kept-lines-stays"),
        pytest.param("\ta\n\tb\n", [" a", "-b", "+\tc"], "\ta\n\tc\n", id="leading-space"),
        pytest.param("x – “y”…\nz\n", [' x - "y"...', "-z", "+w"], "x – “y”…\nw\n", id="punctuation"),
        pytest.param("a b\n", ["-a b", "+c"], "c\n", id="no-break-space"),
        pytest.param("a\r\nb\r\nc\r\n", [" a", "-b", "+x", "+y"], "a\r\nx\r\ny\r\nc\r\n", id="carriage-returns-stay"),
        pytest.param("a\r\nb\nc\n", [" b", "-c", "+x"], "a\r\nb\nx\n", id="mixed-ends-stay"),
        pytest.param("a\nb", ["-a", "+x"], "x\nb", id="no-newline-at-end-stays"),
        pytest.param("a\nb", [" b", "+c"], "a\nb\nc\n", id="line-after-the-last"),
        pytest.param("﻿a\nb\n", ["-a", "+x"], "﻿x\nb\n", id="byte-order-mark-stays"),
        pytest.param("a\nb\nc\nd\n", ["@@", "-a", "+A", "@@", "-d", "+D"], "A\nb\nc\nD\n", id="two-chunks"),
        pytest.param("a\nb\n", [" a", "-b", "+c", ""], "a\nc\n", id="blank-line-at-end-of-chunk"),
        pytest.param("a\n\nb\n", [" a", "", "-b", "+c"], "a\n\nc\n", id="blank-line-is-kept-line"),
        pytest.param("x\na\nx\na\n", ["-x", "-a", "+y", "*** End of File"], "x\na\ny\n", id="repeated-at-end"),
        pytest.param("class A:\n  def f():\n    1\nclass B:\n  def f():\n    1\n", ["@@ class B:", "@@   def f():", "-    1", "+    2"], "class A:\n  def f():\n    1\nclass B:\n  def f():\n    2\n", id="nested-context"),
    ],
)  # fmt: skip
def test_update(tmp_path: Path, before: str, change: list[str], after: str) -> None:
    (tmp_path / "f").write_bytes(before.encode())
    run(tmp_path, patch("*** Update File: f", *change))
    assert (tmp_path / "f").read_bytes().decode() == after
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_bytes_that_are_no_text_stay(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"caf\xe9\nb\n")
    run(tmp_path, patch("*** Update File: f", "-b", "+c"))
    assert (tmp_path / "f").read_bytes() == b"caf\xe9\nc\n"


def test_all_kinds_at_once(tmp_path: Path) -> None:
    for name in ("a", "old", "gone", "over"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "old").chmod(0o755)
    text = patch(
        "*** Add File: deep/er/new", "+n", "*** Delete File: gone", "*** Update File: a", "-a", "+b",
        "*** Update File: old", "*** Move to: moved/here", "-old", "+new", "*** Add File: over", "+written",
    )  # fmt: skip
    planned = plan(parse_patch(text), str(tmp_path))
    assert planned.accesses == (
        (f"{tmp_path}/deep/er/new", Access.WRITE),
        (f"{tmp_path}/gone", Access.DELETE),
        (f"{tmp_path}/a", Access.WRITE),
        (f"{tmp_path}/old", Access.DELETE),
        (f"{tmp_path}/moved/here", Access.WRITE),
        (f"{tmp_path}/over", Access.WRITE),
    )
    assert {(os.path.basename(c.path), c.kind) for c in planned.changes} == {
        ("new", "add"), ("gone", "delete"), ("a", "update"), ("old", "delete"), ("here", "add"), ("over", "update"),
    }  # fmt: skip
    apply(planned)
    assert {path: content for path, (_, content) in tree(tmp_path).items() if content} == {
        "deep/er/new": b"n\n", "a": b"b\n", "moved/here": b"new\n", "over": b"written\n",
    }  # fmt: skip
    assert stat.S_IMODE((tmp_path / "moved/here").stat().st_mode) == 0o755


def test_several_changes_of_one_file(tmp_path: Path) -> None:
    run(
        tmp_path,
        patch("*** Add File: f", "+a", "*** Update File: f", "-a", "+b", "*** Update File: f", "-b", "+c"),
    )
    assert (tmp_path / "f").read_text() == "c\n"
    run(tmp_path, patch("*** Delete File: f", "*** Add File: f", "+d"))
    assert (tmp_path / "f").read_text() == "d\n"


def test_mode_and_umask(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a\n")
    (tmp_path / "f").chmod(0o750)
    old = os.umask(0o027)
    try:
        run(tmp_path, patch("*** Update File: f", "-a", "+b", "*** Add File: g", "+x"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "g").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(["*** Update File: f", "-nothing", "+x"], ["not in the file", "    nothing", "no line of these"], id="missing"),
        pytest.param(["*** Update File: f", " def a():", "-    return 7", "+x"], ["nearest place: line 1", "line 2 is `    return 1`", "`    return 7`"], id="nearly"),
        pytest.param(["*** Update File: f", "-    return 1", "+x"], ["fits 2 places (lines 2, 6)", "`@@` line"], id="ambiguous"),
        pytest.param(["*** Update File: f", "@@ def zzz():", "-    return 1", "+x"], ["`@@` line", "def zzz():"], id="context-missing"),
        pytest.param(["*** Update File: f", "@@", "-def b():", "+x", "@@", "-def a():", "+y"], ["before an earlier change"], id="wrong-order"),
        pytest.param(["*** Update File: f", "-def a():", "+x", "*** End of File"], ["at the end of the file"], id="not-at-end"),
        pytest.param(["*** Update File: f", "@@ def b():", "-    return 1", "-    more", "+x"], ["the file ends there"], id="past-the-end"),
        pytest.param(["*** Update File: none", "+x"], ["no such file", "*** Add File:"], id="update-of-nothing"),
        pytest.param(["*** Delete File: none"], ["no such file"], id="delete-of-nothing"),
        pytest.param(["*** Delete File: folder"], ["it is a folder"], id="delete-folder"),
        pytest.param(["*** Add File: folder", "+x"], ["it is a folder"], id="add-over-folder"),
        pytest.param(["*** Add File: f/below", "+x"], ["Not a directory"], id="below-a-file"),
        pytest.param(["*** Update File: binary", "+x"], ["not a text file"], id="binary"),
        pytest.param(["*** Update File: fifo", "+x"], ["no ordinary file"], id="fifo"),
        pytest.param(["*** Add File: " + "n" * 300, "+x"], ["too long"], id="long-name"),
        pytest.param(["*** Update File: link", "*** Move to: l2"], ["symbolic link"], id="move-link"),
        pytest.param(["*** Delete File: f", "*** Update File: f", "-a", "+b"], ["no such file"], id="update-after-delete"),
    ],
)  # fmt: skip
def test_a_patch_that_does_not_fit_says_why_and_changes_nothing(
    tmp_path: Path, change: list[str], words: list[str]
) -> None:
    (tmp_path / "f").write_text(FILE)
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"a\0b\n")
    (tmp_path / "link").symlink_to("f")
    os.mkfifo(tmp_path / "fifo")
    before = tree(tmp_path)
    with pytest.raises(PatchError) as caught:
        run(tmp_path, patch("*** Add File: first", "+x", *change))
    for word in words:
        assert word in f"{caught.value}\n{caught.value.help}"
    assert tree(tmp_path) == before


def test_links_show_where_a_write_arrives(tmp_path: Path) -> None:
    inside, outside = tmp_path / "ws", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "f").write_text("a\n")
    (inside / "link").symlink_to(outside / "f")
    (inside / "folder").symlink_to(outside)
    (inside / "dangling").symlink_to(outside / "made")
    text = patch(
        "*** Update File: link", "-a", "+b", "*** Add File: folder/g", "+x", "*** Add File: dangling", "+y"
    )
    parsed = parse_patch(text)
    want = ((f"{outside}/f", Access.WRITE), (f"{outside}/g", Access.WRITE), (f"{outside}/made", Access.WRITE))
    assert accesses(parsed, str(inside)) == want
    assert plan(parsed, str(inside)).accesses == want
    assert accesses(parse_patch(patch("*** Delete File: link")), str(inside)) == (
        (f"{inside}/link", Access.DELETE),
    )
    assert accesses(parse_patch(patch("*** Add File: ../x/../../y")), str(inside)) == (
        (f"{tmp_path.parent}/y", Access.WRITE),
    )
    run(inside, patch("*** Delete File: link"))
    assert (outside / "f").read_text() == "a\n"
    assert not (inside / "link").is_symlink()


@pytest.mark.parametrize("what", ["content", "mode", "gone", "made", "link", "folder-link"])
def test_a_file_that_changed_since_the_plan(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "f").write_text("a\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "f").write_text("a\n")
    planned = plan(parse_patch(patch("*** Update File: f", "-a", "+b", "*** Add File: g", "+x")), str(folder))
    match what:
        case "content":
            (folder / "f").write_text("c\n")
        case "mode":
            (folder / "f").chmod(0o600)
        case "gone":
            (folder / "f").unlink()
        case "made":
            (folder / "g").write_text("x\n")
        case "link":
            (folder / "f").unlink()
            (folder / "f").symlink_to(elsewhere / "f")
        case _:
            folder.rename(tmp_path / "d2")
            folder.symlink_to(elsewhere)
    before = tree(tmp_path)
    with pytest.raises(PatchError, match="has changed"):
        apply(planned)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("call", ["rename", "link", "fsync", "mkdir", "unlink", "open"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_failure_in_the_middle_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, nth: int
) -> None:
    for name in ("a", "b", "gone"):
        (tmp_path / name).write_text(f"{name}\n")
    text = patch(
        "*** Update File: a", "-a", "+A", "*** Add File: x/y/new", "+n", "*** Delete File: gone",
        "*** Update File: b", "-b", "+B", "*** Add File: z", "+z",
    )  # fmt: skip
    planned = plan(parse_patch(text), str(tmp_path))
    before, seen = tree(tmp_path), 0
    real = getattr(os, call)

    def failing(*args: object, **kwargs: object) -> object:
        nonlocal seen
        if call != "open" or "dir_fd" in kwargs:
            seen += 1
            if seen == nth:
                raise OSError(28, "No space left on device", "x")
        return real(*args, **kwargs)

    monkeypatch.setattr(os, call, failing)
    try:
        apply(planned)
    except PatchError as error:
        monkeypatch.undo()
        assert "No space left" in str(error)  # noqa: PT017 - either end is right, each with its tree
        assert tree(tmp_path) == before
        return
    monkeypatch.undo()
    # The call was not needed, or came after the last switch: then everything is done.
    assert (tmp_path / "a").read_text() == "A\n"
    assert (tmp_path / "z").read_text() == "z\n"
    assert not (tmp_path / "gone").exists()


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a\n")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    run(tmp_path, patch("*** Update File: f", "-a", "+b", "*** Add File: g", "+x"))
    with pytest.raises(PatchError):
        run(tmp_path, patch("*** Update File: f", "-zzz", "+b"))
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)


LINE = st.sampled_from(["a", "b", "c", "", "    return x", "}", "é"])


def generated(old: list[str], new: list[str]) -> list[str]:
    """The shortest true patch: everything kept before and after what differs."""
    import difflib

    out: list[str] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            out += [f" {line}" for line in old[i:j]]
        else:
            out += [f"-{line}" for line in old[i:j]] + [f"+{line}" for line in new[k:m]]
    return out


@settings(max_examples=150, deadline=None)
@given(st.lists(LINE, max_size=12), st.lists(LINE, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_a_generated_patch_gives_the_wanted_text(
    tmp_path_factory: pytest.TempPathFactory, old: list[str], new: list[str], end: str
) -> None:
    folder = tmp_path_factory.mktemp("p")
    (folder / "f").write_bytes("".join(line + end for line in old).encode())
    change = generated(old, new)
    if not change:
        return
    planned = plan(parse_patch(patch("*** Update File: f", "@@", *change)), str(folder))
    apply(planned)
    assert (folder / "f").read_bytes() == "".join(line + (end if old else "\n") for line in new).encode()


@settings(max_examples=100, deadline=None)
@given(st.lists(LINE, max_size=10), st.lists(LINE, max_size=10), st.booleans(), st.booleans())
def test_the_diff_is_one_that_other_programs_apply(
    tmp_path_factory: pytest.TempPathFactory, old: list[str], new: list[str], old_end: bool, new_end: bool
) -> None:
    from agent.patch.diff import unified

    before = ("\n".join(old) + "\n" * (old_end and bool(old))).encode()
    after = ("\n".join(new) + "\n" * (new_end and bool(new))).encode()
    if before == after or not before or not after:
        return
    folder = tmp_path_factory.mktemp("d")
    (folder / "f").write_bytes(before)
    done = subprocess.run(
        ["git", "apply", "--unidiff-zero", "-"], cwd=folder, input=unified("f", before, after).encode(),
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (folder / "f").read_bytes() == after


def test_a_large_file_in_bounded_time(tmp_path: Path) -> None:
    lines = ["same"] * 200_000
    lines[100_000] = "other"
    (tmp_path / "f").write_text("\n".join(lines) + "\n")
    run(tmp_path, patch("*** Update File: f", *["-same"] * 0, " same", "-other", "+new", *[" same"] * 50_000))
    assert (tmp_path / "f").read_text().count("new") == 1
