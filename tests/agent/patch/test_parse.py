"""Patch text read: what it means, and what is said when it cannot be read."""

# ruff: noqa: E501 - a case is one row

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PatchError
from agent.patch.parse import AddFile, Chunk, DeleteFile, Line, Mark, Patch, UpdateFile, parse_patch

WHOLE = """\
*** Begin Patch
*** Add File: sub/new.txt
+one
+
+  three
*** Delete File: gone.txt
*** Update File: a.py
*** Move to: b.py
@@ class A:
@@     def f(self):
 keep
-old
+new

@@
-last
*** End of File
*** End Patch"""
MEANING = Patch(
    (
        AddFile("sub/new.txt", ("one", "", "  three")),
        DeleteFile("gone.txt"),
        UpdateFile(
            "a.py",
            (
                Chunk(
                    context=("class A:", "    def f(self):"),
                    lines=(Line(Mark.KEEP, "keep"), Line(Mark.REMOVE, "old"), Line(Mark.ADD, "new"), Line(Mark.KEEP, "")),
                    number=9,
                ),
                Chunk(lines=(Line(Mark.REMOVE, "last"),), at_end=True, number=15),
            ),
            "b.py",
        ),
    )
)  # fmt: skip


def numbered(patch: Patch, shift: int) -> Patch:
    changes = []
    for change in patch.changes:
        if isinstance(change, UpdateFile):
            chunks = tuple(
                Chunk(context=c.context, lines=c.lines, at_end=c.at_end, number=c.number + shift)
                for c in change.chunks
            )
            change = UpdateFile(change.path, chunks, change.move_to)
        changes.append(change)
    return Patch(tuple(changes))


@pytest.mark.parametrize(
    ("text", "shift"),
    [
        pytest.param(WHOLE, 0, id="plain"),
        pytest.param(WHOLE + "\n", 0, id="newline-at-end"),
        pytest.param("\n  \n" + WHOLE + "\n\n  \n", 2, id="blank-around"),
        pytest.param("<<'EOF'\n" + WHOLE + "\nEOF\n", 1, id="here-document-quoted"),
        pytest.param('<<"EOF"\n' + WHOLE + "\nEOF", 1, id="here-document-double"),
        pytest.param("<<PATCH\n" + WHOLE + "\nPATCH", 1, id="here-document-bare"),
        pytest.param("apply_patch <<'EOF'\n" + WHOLE + "\nEOF", 1, id="here-document-with-command"),
        pytest.param(WHOLE.replace("\n", "\r\n"), 0, id="carriage-returns"),
        pytest.param(WHOLE.replace("*** Begin Patch", "  *** Begin Patch  "), 0, id="marker-with-spaces"),
        pytest.param(WHOLE.replace("*** End Patch", "  *** End Patch "), 0, id="end-marker-with-spaces"),
        pytest.param(WHOLE.replace("gone.txt", "  gone.txt  "), 0, id="path-with-spaces-around"),
    ],
)
def test_meaning(text: str, shift: int) -> None:
    assert parse_patch(text) == numbered(MEANING, shift)


def one(*lines: str) -> Chunk:
    patch = parse_patch("\n".join(["*** Begin Patch", "*** Update File: f", *lines, "*** End Patch"]))
    change = patch.changes[0]
    assert isinstance(change, UpdateFile)
    assert len(change.chunks) == 1
    return change.chunks[0]


def test_the_first_chunk_needs_no_header() -> None:
    assert one("-a", "+b").lines == (Line(Mark.REMOVE, "a"), Line(Mark.ADD, "b"))


def test_the_header_of_a_unified_diff_says_nothing() -> None:
    assert one("@@ -1,3 +1,4 @@ def f():", "+b").context == ()


def test_a_kept_line_may_look_like_a_marker() -> None:
    assert one("@@", " *** Update File: x", "+*** End Patch").lines == (
        Line(Mark.KEEP, "*** Update File: x"),
        Line(Mark.ADD, "*** End Patch"),
    )


def body(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        pytest.param("", "line 1: expected `*** Begin Patch`, but the patch ends here", "", id="empty"),
        pytest.param("hello", "line 1: expected `*** Begin Patch`: `hello`", "starts with it", id="no-begin"),
        pytest.param("*** Begin Patch\n*** Delete File: a", "line 3: the patch ends without `*** End Patch`", "", id="no-end"),
        pytest.param(body(), "the patch changes nothing", "*** Add File", id="nothing"),
        pytest.param(body("*** Rename File: a"), "line 2: this is no header of a change: `*** Rename File: a`", "*** Update File: PATH", id="unknown-header"),
        pytest.param(body("*** Add File:"), "line 2: `*** Add File:` needs a path", "", id="no-path"),
        pytest.param(body("*** Add File: a", "text"), "line 3: a line of an added file starts with `+`: `text`", "", id="added-without-plus"),
        pytest.param(body("*** Update File: a"), "line 3: the update of `a` is empty", "write `@@`", id="empty-update"),
        pytest.param(body("*** Update File: a", "@@ x"), "line 4: a change without lines", "expected lines", id="empty-chunk"),
        pytest.param(body("*** Update File: a", "@@", "text"), "line 4: this is no line of a change: `text`", "(kept)", id="line-without-mark"),
        pytest.param(body("*** Delete File: a") + "\nmore", "line 4: there is text after `*** End Patch`: `more`", "", id="text-after-end"),
        pytest.param(body("*** Add File: a\ud800"), "half a character", "", id="lone-surrogate"),
        pytest.param(body("*** Add File: a\0b"), "needs a path", "", id="nul"),
    ],
)  # fmt: skip
def test_errors_name_the_line(text: str, message: str, help: str) -> None:
    with pytest.raises(PatchError) as caught:
        parse_patch(text)
    assert message in str(caught.value)
    assert help in caught.value.help


pieces = st.sampled_from(
    [*WHOLE.split("\n"), "@@", "*** ", "***", " x", "", "<<EOF", "EOF", "+\r", "- ", "\t", "@@ -1 +1 @@"]
)


@given(st.one_of(st.text(max_size=200), st.lists(pieces, max_size=25).map("\n".join)))
def test_any_text_is_a_patch_or_an_error(text: str) -> None:
    with contextlib.suppress(PatchError):
        assert parse_patch(text).changes
