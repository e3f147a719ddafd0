"""Commands that go on after their call: polled, given input, judged by what reads it, recorded, ended."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeJudge, Rig, ScriptedModel, calls, done, of, runs, says

from agent.protocol.approvals import Answer
from agent.protocol.events import CommandEnded, Judged, Status, ToolEnded
from agent.tools.base import FeedProgram, RunScript, UseTool
from agent.tools.shell import opens_shell
from execpolicy.decision import Decision


class Talk(ScriptedModel):
    """A model that knows the session's number when its turn comes."""

    def outputs(self, request: int = -1) -> dict[str, str]:
        return super().outputs(request)

    async def stream(self, request: Any) -> Any:
        number = ""
        for item in request.input:
            if found := re.search(r"session ID (\d+)", str(item.get("output", ""))):
                number = found[1]
        async for event in super().stream(request):
            item = getattr(event, "item", None)
            if item and "NUMBER" in str(item.get("arguments", "")):
                item["arguments"] = item["arguments"].replace('"NUMBER"', number or "1")
            yield event


def feed(chars: str, call_id: str, wait: float = 250) -> list[Any]:
    return calls("write_stdin", call_id, session_id="NUMBER", chars=chars, yield_time_ms=wait)


def shown(model: ScriptedModel, call_id: str) -> str:
    return model.outputs()[call_id]


def steps(*each: list[Any]) -> list[list[Any]]:
    return [[*step, *done()] for step in each] + [[*says("done"), *done()]]


async def test_a_command_goes_on_and_is_polled_to_its_end(tmp_path: Path) -> None:
    model = Talk(
        *steps(
            runs("echo one; sleep 0.6; echo two; exit 3", "c1", yield_time_ms=250),
            feed("", "c2", 5000),
            feed("", "c3"),
        )
    )
    rig = Rig(model, tmp_path)
    events = await rig.turn()
    assert "Process running with session ID" in shown(model, "c1")
    assert "one" in shown(model, "c1")
    assert "Process exited with code 3" in shown(model, "c2")
    assert "two" in shown(model, "c2")
    assert "one" not in shown(model, "c2")
    assert "Unknown process id" in shown(model, "c3")
    (ended,) = of(CommandEnded, events)
    assert (ended.output, ended.exit_code, ended.status) == ("one\ntwo\n", 3, Status.FAILED)
    assert [e.exit_code for e in rig.sink.events if type(e).__name__ == "Ran" and e.call == "c1"] == [3]


async def test_a_shell_keeps_folder_and_variables_and_each_text_is_judged_with_all_before(
    tmp_path: Path,
) -> None:
    (tmp_path / "sub").mkdir()
    model = Talk(
        *steps(
            runs("bash", "c1"),
            feed("cd sub\nX=5\n", "c2"),
            feed("pwd; echo $X\n", "c3"),
            feed("cat\n", "c4"),
            feed("\x04", "c5"),
        )
    )
    judge = FakeJudge()
    rig = Rig(model, tmp_path, judge=judge)
    await rig.turn()
    assert f"{tmp_path}/sub\n5\n" in shown(model, "c3")
    assert "running" in shown(model, "c4")  # `cat` got no input of ours and ended
    assert "exited with code 0" in shown(model, "c5")
    third = judge.judged[2]
    assert isinstance(third, RunScript)
    assert (third.before, third.script) == ("cd sub\nX=5\n", "pwd; echo $X\n")


async def test_what_a_shell_runs_cannot_read_what_the_shell_is_given_next(tmp_path: Path) -> None:
    model = Talk(
        *steps(runs("bash", "c1"), feed("cat > stolen &\nhead -c 5 > more\n", "c2"), feed("echo hi\n", "c3"))
    )
    rig = Rig(model, tmp_path)
    await rig.turn()
    assert "hi\n" in shown(model, "c3")
    assert (tmp_path / "stolen").read_text() == (tmp_path / "more").read_text() == ""
    await rig.close()


@pytest.mark.parametrize(
    ("texts", "want"),
    [
        pytest.param(['read() { REPLY="touch evil"; }\n', "touch good\n"], {"good"}, id="function-read"),
        pytest.param(["eval() { touch evil; }\n", "touch good\n"], {"good"}, id="function-eval"),
        pytest.param(["cat <<EOF\nfoo\n", "touch evil\nEOF\n", "touch good\n"], {"good"}, id="here-document"),
        pytest.param(["true \\\n", "touch evil\n", "touch good\n"], {"good"}, id="line-goes-on"),
        pytest.param(["echo '\n", "touch evil\n'\n", "touch good\n"], {"good"}, id="quotes"),
        pytest.param(["continue; mkdir s; cd s\n", "touch good\n"], {"s", "s/good"}, id="continue"),
        pytest.param(["exec 255<script\n", "touch good\n"], {"good"}, id="descriptor"),
    ],
)
async def test_a_shell_reads_its_texts_as_the_one_script_that_was_judged(
    tmp_path: Path, texts: list[str], want: set[str]
) -> None:
    (tmp_path / "script").write_text("touch evil\n")
    given = [feed(text, f"t{number}") for number, text in enumerate(texts)]
    rig = Rig(Talk(*steps(runs("bash", "c1"), *given, feed("", "last", 5000))), tmp_path)
    await rig.turn()
    await rig.close()
    found = [name for name in ("evil", "good", "s", "s/evil", "s/good") if (tmp_path / name).exists()]
    assert set(found) == want


async def test_a_shell_that_got_half_a_text_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.process.pty._WRITE_SECONDS", 0.1)
    long = ": '" + "\U0001f600" * 20_000 + "'\n"  # more than the pipe takes
    model = Talk(*steps(runs("bash", "c1"), feed("sleep 60\n", "c2"), feed(long, "c3"), feed("ls\n", "c4")))
    rig = Rig(model, tmp_path)
    events = await rig.turn()
    assert "did not take all of the input" in shown(model, "c3")
    assert "Process was ended" in shown(model, "c3")
    assert [e.status for e in of(CommandEnded, events)] == [Status.INTERRUPTED]


async def test_half_a_line_is_held_until_its_end_comes(tmp_path: Path) -> None:
    model = Talk(
        *steps(
            runs("bash", "c1"), feed("echo a >", "c2"), feed("> out", "c3"), feed("\n", "c4"), feed("", "c5")
        )
    )
    judge = FakeJudge()
    await Rig(model, tmp_path, judge=judge).turn()
    assert "held" in shown(model, "c2")
    assert [type(one) for one in judge.judged] == [RunScript, UseTool, UseTool, RunScript, UseTool]
    assert judge.judged[3].script == "echo a >> out\n"  # type: ignore[union-attr]
    assert (tmp_path / "out").read_text() == "a\n"


@pytest.mark.parametrize(("decision", "made"), [(Decision.DENY, False), (Decision.ASK, True)])
async def test_a_refused_line_does_not_reach_the_shell(
    tmp_path: Path, decision: Decision, made: bool
) -> None:
    model = Talk(*steps(runs("bash", "c1"), feed("touch evil\n", "c2"), feed("touch good\n", "c3")))
    rig = Rig(model, tmp_path, judge=FakeJudge(evil=decision))
    events = await rig.turn()
    assert (tmp_path / "evil").exists() is made
    assert (tmp_path / "good").exists()
    assert [e.verdict.decision for e in of(Judged, events)][1] is decision
    if not made:
        assert [e.refusal is not None for e in of(ToolEnded, events)] == [True, False]
        assert "Refused" in rig.recorded()


async def test_a_declined_line_does_not_reach_the_shell(tmp_path: Path) -> None:
    model = Talk(*steps(runs("bash", "c1"), feed("touch evil\n", "c2")))
    await Rig(model, tmp_path, judge=FakeJudge(evil=Decision.ASK)).turn(person=lambda request: Answer.NO)
    assert not (tmp_path / "evil").exists()


async def test_input_that_was_judged_without_what_came_meanwhile_is_not_given(tmp_path: Path) -> None:
    both = [*feed("echo evil\n", "c2"), *feed("touch after\n", "c3")]
    model = Talk(*steps(runs("bash", "c1"), both, feed("touch after2\n", "c4")))
    judge = FakeJudge(evil=Decision.ASK)
    await Rig(model, tmp_path, judge=judge).turn()
    assert "another input came between" in shown(model, "c2")
    assert (tmp_path / "after").exists()
    assert (tmp_path / "after2").exists()


async def test_input_for_another_program_is_judged_as_its_data(tmp_path: Path) -> None:
    model = Talk(
        *steps(runs("read x; echo got $x", "c1", tty=True, yield_time_ms=250), feed("rm -rf /\n", "c2", 2000))
    )
    judge = FakeJudge()
    rig = Rig(model, tmp_path, judge=judge)
    await rig.turn()
    assert judge.judged[1] == FeedProgram(program="read x; echo got $x", text="rm -rf /\n", cwd=str(tmp_path))
    assert "got rm -rf /" in shown(model, "c2")


@pytest.mark.parametrize(
    ("chars", "told"),
    [
        pytest.param("ls\r", "without control characters", id="return"),
        pytest.param("\x1b[A\n", "without control characters", id="arrow"),
        pytest.param("ls\0\n", "without control characters", id="nul"),
        pytest.param("ls\x7f\n", "without control characters", id="delete"),
        pytest.param("\x03\n", "without control characters", id="interrupt-and-more"),
        pytest.param("#" * 40_000, "at most 32000 characters", id="long"),
    ],
)
async def test_what_a_shell_does_not_take(tmp_path: Path, chars: str, told: str) -> None:
    model = Talk(*steps(runs("bash", "c1"), feed(chars, "c2")))
    rig = Rig(model, tmp_path)
    await rig.turn()
    assert told in shown(model, "c2")
    await rig.close()


async def test_a_command_without_input_says_how_it_would_have_one(tmp_path: Path) -> None:
    model = Talk(*steps(runs("sleep 60", "c1", yield_time_ms=250), feed("y\n", "c2"), feed("\x03", "c3")))
    rig = Rig(model, tmp_path)
    events = await rig.turn()
    assert "tty=true" in shown(model, "c2")
    assert "Process was ended" in shown(model, "c3")
    assert [e.status for e in of(CommandEnded, events)] == [Status.INTERRUPTED]


async def test_the_end_of_the_thread_ends_and_records_what_still_runs(tmp_path: Path) -> None:
    model = Talk(*steps(runs("echo $$; sleep 60", "c1", yield_time_ms=250)))
    rig = Rig(model, tmp_path)
    await rig.turn()
    pid = int(shown(model, "c1").rstrip().rpartition("\n")[2])
    assert "Ran" not in rig.recorded()
    events = await rig.close()
    assert [e.status for e in of(CommandEnded, events)] == [Status.INTERRUPTED]
    assert rig.recorded()[-1] == "Ran"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("script", "want"),
    [
        ("bash", True),
        (" bash -i ", True),
        ("/bin/bash --norc", True),
        ("bash\nls", False),
        ("bash -c ls", False),
        ("bash script", False),
        ("bash; ls", False),
        ("./bash", False),
        ("sh", False),
        ("", False),
    ],
)
def test_what_opens_a_shell(script: str, want: bool) -> None:
    assert opens_shell(script) is want


@pytest.mark.parametrize(
    ("rules", "want"),
    [
        ("", Decision.ASK),
        ('defaults(unmatched = "allow")', Decision.ASK),
        ('prefix_rule(pattern = ["psql"], decision = "allow")', Decision.ASK),
        (
            'tool_rule(tool = "write_stdin", arguments = {"program": "psql"}, decision = "allow")',
            Decision.ALLOW,
        ),
        (
            'tool_rule(tool = "write_stdin", arguments = {"program": "other"}, decision = "allow")',
            Decision.ASK,
        ),
        ('tool_rule(tool = "write_stdin", decision = "deny", justification = "no")', Decision.DENY),
    ],
)
def test_who_may_feed_a_program(real_gate: Callable[[str], Any], rules: str, want: Decision) -> None:
    request = FeedProgram(program="psql", text="drop table x;\n", cwd="/")
    assert real_gate(rules).judge("write_stdin", request).verdict.decision is want


@pytest.mark.parametrize(
    ("before", "script", "want"),
    [
        ("", "git status\n", Decision.ALLOW),
        ("git status\n", "git push\n", Decision.DENY),
        ("git() { rm -rf /; }\n", "git status\n", Decision.ASK),
        ("X=push\n", "git $X\n", Decision.DENY),
        ("git \\\n", "push\n", Decision.DENY),
        ("git status <<E\n", "git push\nE\n", Decision.ALLOW),
        ("git status <<E\n", "git push\nE\ngit push\n", Decision.DENY),
    ],
)
def test_a_line_is_judged_with_what_came_before(
    real_gate: Callable[[str], Any], before: str, script: str, want: Decision
) -> None:
    gate = real_gate(
        'prefix_rule(pattern = ["git", "status"], decision = "allow")\n'
        'prefix_rule(pattern = ["git", "push"], decision = "deny", justification = "no")\n'
    )
    assert (
        gate.judge("write_stdin", RunScript(script=script, cwd="/", before=before)).verdict.decision is want
    )


def test_a_rule_about_the_command_tool_holds_for_what_a_shell_is_given(
    real_gate: Callable[[str], Any],
) -> None:
    gate = real_gate(
        'prefix_rule(pattern = ["ls"], decision = "allow")\n'
        'tool_rule(tool = "exec_command", arguments = {"cmd": glob("*secret*")}, decision = "deny", '
        'justification = "no")\n'
    )
    assert (
        gate.judge("write_stdin", RunScript(script="ls secret\n", cwd="/")).verdict.decision is Decision.DENY
    )


async def test_a_shell_runs_nothing_that_is_to_be_confined_more_than_it_is(
    real_gate: Callable[[str], Any], tmp_path: Path
) -> None:
    gate = real_gate(
        'prefix_rule(pattern = [["bash", "echo"]], decision = "allow")\n'
        'prefix_rule(pattern = ["touch"], decision = "allow", sandbox = "read-only")\n'
    )
    model = Talk(*steps(runs("bash", "c1"), feed("touch made\n", "c2"), feed("echo fine\n", "c3")))
    rig = Rig(model, tmp_path, judge=gate)
    await rig.turn()
    await rig.close()
    assert "stricter sandbox than the shell has" in shown(model, "c2")
    assert not (tmp_path / "made").exists()
    assert "fine" in shown(model, "c3")


async def test_a_shell_that_was_let_out_takes_nothing_that_was_not(
    real_gate: Callable[[str], Any], tmp_path: Path
) -> None:
    gate = real_gate('prefix_rule(pattern = [["bash", "echo"]], decision = "allow")\n')
    out = runs("bash", "c1", sandbox_permissions="require_escalated", justification="why not")
    model = Talk(*steps(out, feed("echo out > made\n", "c2")))
    rig = Rig(model, tmp_path, judge=gate)
    await rig.turn()
    await rig.close()
    assert "stricter sandbox" in shown(model, "c2")
    assert not (tmp_path / "made").exists()
