"""The prompt of `agent exec`."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli import stdin
from agent.cli.stdin import read_prompt
from agent.errors import AgentError, UsageError


class Pipe:
    def __init__(self) -> None:
        self.read, self.write = os.pipe()

    def holding(self, data: bytes) -> int:
        os.write(self.write, data)
        os.close(self.write)
        return self.read


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    for fd in (made.read, made.write):
        try:
            os.close(fd)
        except OSError:
            pass


def prompt(argument: str | None, fd: int) -> tuple[str, list[str]]:
    notes: list[str] = []
    return read_prompt(argument, fd, notes.append), notes


@pytest.mark.parametrize(
    ("argument", "data", "want"),
    [
        ("p", b"", "p"),
        ("p", b"more\n", "p\n\n<stdin>\nmore\n</stdin>"),
        ("", b"", ""),
        ("caf\udce9", b"", "caf\ufffd"),
        (None, b"  text\n", "  text\n"),
        ("-", b"text", "text"),
        ("-", b"\xef\xbb\xbfa\xffb", "a\ufffdb"),
    ],
)
def test_argument_stdin_or_both(pipe: Pipe, argument: str | None, data: bytes, want: str) -> None:
    assert prompt(argument, pipe.holding(data))[0] == want


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x" * 300_000)
    with (tmp_path / "f").open() as file:
        assert prompt("p", file.fileno())[0] == f"p\n\n<stdin>\n{'x' * 300_000}\n</stdin>"


@pytest.mark.parametrize("argument", [None, "-"])
def test_nothing_on_stdin_is_told(argument: str | None) -> None:
    with (
        open(os.devnull) as nothing,
        pytest.raises(AgentError, match="no prompt provided via stdin") as caught,
    ):
        prompt(argument, nothing.fileno())
    assert caught.value.exit_status == 1


def test_the_null_device_adds_nothing() -> None:
    with open(os.devnull) as nothing:
        assert prompt("p", nothing.fileno()) == ("p", [])


def test_a_closed_stdin_is_no_prompt_and_no_hindrance(pipe: Pipe) -> None:
    os.close(pipe.read)
    assert prompt("p", pipe.read)[0] == "p"
    with pytest.raises(UsageError):
        prompt(None, pipe.read)


def test_an_open_pipe_that_keeps_silent_is_not_waited_for(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdin, "FIRST_SECONDS", 0.05)
    started = time.monotonic()
    text, notes = prompt("p", pipe.read)
    assert text == "p"
    assert "open but silent" in notes[0]
    assert time.monotonic() - started < 2


def test_an_open_pipe_gives_what_it_has(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdin, "QUIET_SECONDS", 0.05)
    os.write(pipe.write, b"half")
    text, notes = prompt("p", pipe.read)
    assert text == "p\n\n<stdin>\nhalf\n</stdin>"
    assert "4 bytes" in notes[0]


def test_a_dash_waits_for_the_end(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdin, "FIRST_SECONDS", 0.01)
    threading.Timer(0.2, lambda: pipe.holding(b"late")).start()
    assert prompt("-", pipe.read)[0] == "late"


def test_too_much_is_refused(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdin, "MOST_BYTES", 10)
    with pytest.raises(UsageError, match="more than 10 bytes"):
        prompt("p", pipe.holding(b"x" * 11))
