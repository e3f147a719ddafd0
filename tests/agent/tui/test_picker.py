"""Which of the stored sessions a person means."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.sessions.store import SessionInfo
from agent.tui.picker import SHOWN, pick


def info(number: int, title: str, name: str = "") -> SessionInfo:
    return SessionInfo(
        thread_id=f"{number:08x}-0000-7000-8000-000000000000",
        created_at="2026-01-02T03:04:05.000Z",
        updated_at="2026-01-02T03:04:05.000Z",
        cwd="/work",
        workspace="/work",
        model="m",
        title=title,
        events=3,
        name=name,
    )


FEW = (info(1, "fix the test"), info(2, "write docs", "papers"), info(3, "fix the parser"))
MANY = tuple(info(n, f"task {n}") for n in range(1, 41))


@pytest.mark.parametrize(
    ("sessions", "answers", "want"),
    [
        pytest.param(FEW, [""], FEW[0], id="enter-is-the-first"),
        pytest.param(FEW, [" 2 "], FEW[1], id="a-number"),
        pytest.param(FEW, ["papers", ""], FEW[1], id="a-name"),
        pytest.param(FEW, ["FIX", "2"], FEW[2], id="a-number-of-those-left"),
        pytest.param(FEW, ["fix", "docs", ""], FEW[1], id="other-words"),
        pytest.param(FEW, ["zzz", "3"], FEW[2], id="no-such-words"),
        pytest.param(FEW, ["4", "0", "-1", "\u00b2", "1"], FEW[0], id="no-such-number"),
        pytest.param(FEW, ["q"], None, id="none"),
        pytest.param(FEW, [None], None, id="the-input-ends"),
        pytest.param(MANY, ["task 40", ""], MANY[39], id="one-that-was-not-shown"),
        pytest.param(MANY, [str(SHOWN + 1), "q"], None, id="a-number-that-was-not-shown"),
    ],
)
def test_what_is_chosen(
    sessions: tuple[SessionInfo, ...], answers: list[str | None], want: SessionInfo | None
) -> None:
    left: Iterator[str | None] = iter(answers)
    assert pick(sessions, lambda prompt: next(left), lambda text: None) == want
    assert list(left) == []


def test_nothing_reaches_the_terminal_as_it_is() -> None:
    shown: list[str] = []
    odd = info(1, "\x1b]0;pwn\x07title\nsecond\u202e", "n")
    assert pick((odd, *MANY), lambda prompt: "", shown.append, folders=True) == odd
    text = "".join(shown)
    assert not any(char in text for char in "\x1b\x07\u202e")
    assert len(text.splitlines()) == SHOWN + 1
    assert "and 26 more" in text
    assert "/work" in text
