"""Which command a line means."""

from __future__ import annotations

import pytest

from agent.cli.arrange import Line, arrange, prompt_first
from agent.errors import UsageError

COMMANDS = ("exec", "resume", "sessions", "policy", "audit", "help")
VALUED = ("--policy", "--model", "-m", "--cd", "-C")


@pytest.mark.parametrize(
    ("line", "want"),
    [
        pytest.param("", Line(None), id="nothing"),
        pytest.param("exec|do it", Line("exec", (), ("do it",)), id="command"),
        pytest.param("fix the test", Line(None, (), ("fix the test",)), id="prompt"),
        pytest.param(
            "--policy|f|fix it", Line(None, (), ("--policy", "f", "fix it")), id="prompt-after-options"
        ),
        pytest.param("--policy|exec|x", Line(None, (), ("--policy", "exec", "x")), id="value-is-no-command"),
        pytest.param(
            "--policy|f|-m|x|exec|do it|--json",
            Line("exec", ("--policy", "f", "-m", "x"), ("do it", "--json")),
            id="options-before",
        ),
        pytest.param(
            "--policy=exec|exec|x", Line("exec", ("--policy=exec",), ("x",)), id="value-behind-an-equals-sign"
        ),
        pytest.param("-mexec|exec|x", Line("exec", ("-mexec",), ("x",)), id="value-in-the-same-word"),
        pytest.param("--json|exec|x", Line("exec", ("--json",), ("x",)), id="flag-of-the-command"),
        pytest.param("--|exec", Line(None, (), ("--", "exec")), id="after-two-dashes-nothing-is-a-command"),
        pytest.param("exec|--|resume", Line("exec", (), ("--", "resume")), id="inner-two-dashes"),
        pytest.param("exec|resume|x", Line("exec", (), ("resume", "x")), id="only-the-first-word"),
        pytest.param("do it|exec", Line(None, (), ("do it", "exec")), id="prompt-then-a-command-word"),
        pytest.param("-|exec", Line(None, (), ("-", "exec")), id="dash-is-a-word"),
        pytest.param("exce", Line(None, (), ("exce",)), id="one-word-is-a-prompt"),
        pytest.param("--policy", Line(None, (), ("--policy",)), id="value-missing"),
    ],
)
def test_arrange(line: str, want: Line) -> None:
    assert arrange(line.split("|") if line else [], COMMANDS, VALUED) == want


@pytest.mark.parametrize(("line", "meant"), [("exce|do it", "exec"), ("session|list", "sessions")])
def test_a_command_that_is_nearly_one_is_not_sent_to_a_model(line: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        arrange(line.split("|"), COMMANDS, VALUED)
    assert f"did you mean `{meant}`?" in caught.value.help


def test_names_besides_are_found_and_never_guessed() -> None:
    assert arrange(["-m", "x", "proto", "y"], COMMANDS, VALUED, ("proto",)).command == "proto"
    assert arrange(["prota", "y"], COMMANDS, VALUED, ("proto",)).command is None
    assert arrange(["--", "proto"], COMMANDS, VALUED, ("proto",)).command is None


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("go", None),
        ("--json|go", None),
        ("resume|--last|go", None),
        ("resume|fork", None),
        ("--|go|resume", None),
        ("go|--|resume", None),
        ("-m|go|resume|--last", None),
        ("go|resume|--last", Line("resume", (), ("--last", "go"))),
        ("go|resume", Line("resume", ("--last",), ("go",))),
        ("-|resume|7", Line("resume", (), ("7", "-"))),
        (
            "--json|-m|x|go|-C|d|resume|--last",
            Line("resume", ("--json", "-m", "x", "-C", "d"), ("--last", "go")),
        ),
        ("go|resume|7|-m|x", Line("resume", (), ("7", "-m", "x", "go"))),
        ("--last|go|fork", Line("fork", ("--last",), ("go",))),
    ],
)
def test_a_prompt_before_the_command(line: str, want: Line | None) -> None:
    assert prompt_first(line.split("|"), ("resume", "fork"), VALUED) == want


@pytest.mark.parametrize("line", ["go|resume|--last|x", "go|resume|7|x", "go|resume|7|--|x"])
def test_two_prompts_are_one_too_many(line: str) -> None:
    with pytest.raises(UsageError, match="two prompts"):
        prompt_first(line.split("|"), ("resume", "fork"), VALUED)
