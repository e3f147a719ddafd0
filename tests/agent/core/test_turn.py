"""The loop: calls run side by side and once, answers come in call order, every end is told."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from pathlib import Path

import pytest
from fakes import (
    FakeJudge,
    MemoryJournal,
    Rig,
    ScriptedModel,
    calls,
    calls_custom,
    calls_raw,
    cut,
    done,
    of,
    runs,
    says,
)

from agent.core.context import History, replay
from agent.core.journal import TURN
from agent.errors import ModelError
from agent.llm.client import ItemArrived
from agent.protocol.events import (
    CallFailed,
    CommandEnded,
    CommandStarted,
    Judged,
    MessageDone,
    PlanUpdated,
    ReasoningDone,
    Retrying,
    Status,
    TextDelta,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    TurnStarted,
    Warned,
)
from agent.protocol.items import JsonObject, Usage
from agent.protocol.ops import Interrupt
from agent.tools.shell import MOST_AT_ONCE
from execpolicy.decision import Decision


async def test_an_answer_without_calls_ends_the_turn(tmp_path: Path) -> None:
    rig = Rig(ScriptedModel([*says("hello"), *done()]), tmp_path)
    events = await rig.turn("hi")
    assert events == [
        TurnStarted("thread-1:1", "hi"),
        TextDelta("hello"),
        MessageDone("hello"),
        TurnCompleted(Usage(input_tokens=10, output_tokens=1), "hello"),
    ]


async def test_an_empty_answer_ends_the_turn(tmp_path: Path) -> None:
    rig = Rig(ScriptedModel(done()), tmp_path)
    assert (await rig.turn())[-1] == TurnCompleted(Usage(input_tokens=10, output_tokens=1), "")


async def test_a_command_runs_and_its_output_goes_back(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("content\n")
    model = ScriptedModel([*runs("cat a.txt", "c1"), *done()], [*says("read"), *done()])
    rig = Rig(model, tmp_path)
    events = await rig.turn()
    assert [type(e) for e in events if not isinstance(e, TextDelta)] == [
        TurnStarted,
        Judged,
        CommandStarted,
        *[type(e) for e in events if type(e).__name__ == "CommandOutput"],
        CommandEnded,
        MessageDone,
        TurnCompleted,
    ]
    ended = of(CommandEnded, events)[0]
    assert (ended.output, ended.exit_code, ended.status) == ("content\n", 0, Status.COMPLETED)
    output = model.outputs()["c1"]
    assert "Process exited with code 0\n" in output
    assert output.endswith("Output:\ncontent\n")
    assert rig.recorded() == ["Decided", "Ran"]
    assert events[-1].usage == Usage(input_tokens=20, output_tokens=2)


async def test_calls_of_one_answer_run_side_by_side(tmp_path: Path) -> None:
    wait = "touch {0}; until [ -e a ] && [ -e b ] && [ -e c ]; do sleep 0.02; done; echo met"
    step = [call for name in "abc" for call in runs(wait.format(name), name)]
    model = ScriptedModel([*step, *done()], done())
    await Rig(model, tmp_path).turn()
    assert all(output.endswith("met\n") for output in model.outputs().values())


async def test_answers_stand_in_call_order_whatever_ends_first(tmp_path: Path) -> None:
    step = [*runs("sleep 0.3; echo slow", "c1"), *runs("echo quick", "c2"), *says("both"), *done()]
    model = ScriptedModel(step, done())
    await Rig(model, tmp_path).turn()
    last = [(i["type"], i.get("call_id")) for i in model.requests[1].input]
    assert last == [
        ("message", None),
        ("function_call", "c1"),
        ("function_call", "c2"),
        ("message", None),
        ("function_call_output", "c1"),
        ("function_call_output", "c2"),
    ]


async def test_a_call_starts_while_the_answer_still_comes(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def until_it_ran() -> None:
        for _ in range(100):
            if mark.exists():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the command did not start before the end of the answer")

    step = [*runs(f"touch {mark}"), until_it_ran, *done()]
    assert isinstance((await Rig(ScriptedModel(step, done()), tmp_path).turn())[-1], TurnCompleted)


async def test_a_cut_stream_neither_repeats_nor_loses_a_call(tmp_path: Path) -> None:
    model = ScriptedModel([*runs("echo x >> log", "c1"), *cut()], [*says("fine"), *done()])
    events = await Rig(model, tmp_path).turn()
    assert (tmp_path / "log").read_text() == "x\n"
    assert "c1" in model.outputs(1)
    assert of(Retrying, events) == [Retrying(1, 5, "reset", 0.0)]
    assert events[-1].last_message == "fine"


async def test_a_cut_after_a_message_alone_asks_again(tmp_path: Path) -> None:
    model = ScriptedModel([*says("half"), *cut()], [*says("whole"), *done()])
    events = await Rig(model, tmp_path).turn()
    assert events[-1].last_message == "whole"
    assert len(model.requests) == 2


async def test_a_call_that_comes_twice_runs_once(tmp_path: Path) -> None:
    twice = runs("echo x >> log", "c1")
    model = ScriptedModel([*twice, *cut()], [*twice, *done()], [*says("ok"), *done()])
    events = await Rig(model, tmp_path).turn()
    assert (tmp_path / "log").read_text() == "x\n"
    assert any("second time" in warning.message for warning in of(Warned, events))


async def test_a_model_error_ends_the_turn_after_its_calls(tmp_path: Path) -> None:
    model = ScriptedModel([*runs("echo x > log", "c1"), ModelError("quota exceeded", "pay")])
    rig = Rig(model, tmp_path)
    events = await rig.turn()
    assert events[-1] == TurnFailed("quota exceeded", "pay", Usage())
    assert of(CommandEnded, events)[0].exit_code == 0
    kinds = [(kind, payload.get("type") or payload.get("state")) for kind, payload in rig.journal.entries]
    assert ("item", "function_call_output") in kinds
    assert kinds[-1] == ("turn", "failed")


async def test_a_stream_that_just_ends_is_an_error(tmp_path: Path) -> None:
    events = await Rig(ScriptedModel(says("half")), tmp_path).turn()
    assert isinstance(events[-1], TurnFailed)
    assert "before it was complete" in events[-1].message


async def test_a_fault_of_ours_ends_the_turn_without_a_traceback(tmp_path: Path) -> None:
    events = await Rig(ScriptedModel([ValueError("boom")]), tmp_path).turn()
    assert events[-1] == TurnFailed("internal error: ValueError: boom")


@pytest.mark.parametrize(
    ("step", "told"),
    [
        pytest.param(calls("no_such", "c1", x=1), "unsupported call: no_such", id="unknown-tool"),
        pytest.param(
            calls_custom("no_such", "x", "c1"), "unsupported custom tool call: no_such", id="unknown-custom"
        ),
        pytest.param(calls_raw("exec_command", "{oops", "c1"), "failed to parse", id="not-json"),
        pytest.param(calls_raw("exec_command", "{}", "c1"), "missing required field `cmd`", id="missing"),
        pytest.param(calls_raw("exec_command", '{"cmd": 3}', "c1"), "Expected `str`", id="wrong-kind"),
        pytest.param(calls_raw("exec_command", "[1]", "c1"), "failed to parse", id="not-an-object"),
        pytest.param(calls_raw("exec_command", "", "c1"), "missing required field", id="empty"),
        pytest.param(calls_raw("exec_command", '{"x": ' + "[" * 100_000, "c1"), "failed to parse", id="deep"),
        pytest.param(calls_custom("exec_command", "ls", "c1"), "JSON arguments", id="wrong-payload"),
        pytest.param(calls("exec_command", "c1", cmd="a\0b"), "NUL", id="nul"),
        pytest.param(calls_raw("exec_command", '{"cmd": "echo \\ud800"}', "c1"), "", id="surrogate"),
        pytest.param(calls("exec_command", "c1", cmd="x" * 200_000), "bytes long", id="too-long"),
        pytest.param(calls("exec_command", "c1", cmd="ls", workdir="no"), "no folder", id="no-folder"),
        pytest.param(calls("exec_command", "c1", cmd="ls", timeout_ms="nan"), "to be a number", id="nan"),
        pytest.param(
            calls("exec_command", "c1", cmd="ls", max_output_tokens="nan"), "to be a num", id="nans"
        ),
        pytest.param(calls("update_plan", "c1", plan="x"), "failed to parse", id="bad-plan"),
    ],
)
async def test_a_call_that_cannot_be_read_is_told_and_recorded(
    tmp_path: Path, step: list[ItemArrived], told: str
) -> None:
    model = ScriptedModel([*step, *done()], [*says("sorry"), *done()])
    rig = Rig(model, tmp_path)
    events = await rig.turn()
    assert told in model.outputs()["c1"]
    assert len(of(CallFailed, events)) == 1
    assert rig.recorded() == ["Refused"]
    assert isinstance(events[-1], TurnCompleted)


async def test_a_call_without_an_id_is_ignored_with_a_warning(tmp_path: Path) -> None:
    item = {"type": "function_call", "name": "exec_command", "arguments": '{"cmd":"touch x"}'}
    events = await Rig(ScriptedModel([ItemArrived(item), *done()]), tmp_path).turn()
    assert of(Warned, events)
    assert not (tmp_path / "x").exists()
    assert isinstance(events[-1], TurnCompleted)


async def test_unknown_arguments_are_ignored(tmp_path: Path) -> None:
    model = ScriptedModel([*runs("echo hi", "c1", login=True, color="red"), *done()], done())
    await Rig(model, tmp_path).turn()
    assert model.outputs()["c1"].endswith("Output:\nhi\n")


async def test_the_plan_is_shown_judged_and_recorded(tmp_path: Path) -> None:
    plan = [{"step": "look", "status": "completed"}, {"step": "do", "status": "in_progress"}]
    model = ScriptedModel([*calls("update_plan", "c1", plan=plan), *done()], done())
    rig = Rig(model, tmp_path)
    events = await rig.turn()
    assert [step.step for step in of(PlanUpdated, events)[0].steps] == ["look", "do"]
    assert model.outputs()["c1"] == "Plan updated"
    assert rig.recorded() == ["Decided", "ToolCalled"]


async def test_reasoning_goes_back_as_it_came(tmp_path: Path) -> None:
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "think"}],
        "encrypted_content": "abc",
        "content": None,
        "odd": {"kept": True},
    }
    model = ScriptedModel([ItemArrived(thought), *runs("true", "c1"), *done()], done())
    events = await Rig(model, tmp_path).turn()
    assert of(ReasoningDone, events) == [ReasoningDone("think")]
    assert thought in model.requests[1].input


async def test_the_request_carries_tools_history_and_key(tmp_path: Path) -> None:
    model = ScriptedModel([*says("a"), *done()], [*says("b"), *done()])
    rig = Rig(model, tmp_path)
    await rig.turn("one")
    await rig.turn("two")
    request = model.requests[1]
    assert request.cache_key == "thread-1"
    assert [tool["name"] for tool in request.tools] == ["exec_command", "write_stdin", "update_plan"]
    assert [item["role"] for item in request.input] == ["user", "assistant", "user"]


async def test_interrupt_kills_children_and_keeps_the_session(tmp_path: Path) -> None:
    step = [*runs("echo $$ > pid; sleep 60; touch late", "c1"), *done()]
    model = ScriptedModel(step, [*says("back"), *done()])
    rig = Rig(model, tmp_path)
    waiting = asyncio.Event()

    def watch(event: object) -> Interrupt | None:
        return Interrupt() if isinstance(event, CommandStarted) and not waiting.is_set() else None

    started = time.monotonic()
    events = await rig.turn(watch=watch)
    assert time.monotonic() - started < 5
    assert events[-1] == TurnInterrupted("interrupted by the user", events[-1].usage)
    assert of(CommandEnded, events)[0].status is Status.INTERRUPTED
    assert rig.recorded() == ["Decided", "Ran"]
    pid = (tmp_path / "pid").read_text().strip() if (tmp_path / "pid").exists() else ""
    assert not pid or not Path(f"/proc/{pid}").exists()  # noqa: ASYNC240
    waiting.set()
    events = await rig.turn("again")
    assert events[-1].last_message == "back"
    assert "aborted by user" in model.outputs()["c1"]
    assert "turn_aborted" in json.dumps(model.requests[-1].input)


async def test_interrupt_ends_a_silent_stream(tmp_path: Path) -> None:
    async def silence() -> None:
        await asyncio.sleep(60)

    rig = Rig(ScriptedModel([*says("so"), silence, *done()]), tmp_path)
    events = await rig.turn(watch=lambda event: Interrupt() if isinstance(event, MessageDone) else None)
    assert isinstance(events[-1], TurnInterrupted)


@pytest.mark.parametrize("fails", [False, True])
async def test_what_the_first_request_waits_for_can_be_given_up(tmp_path: Path, *, fails: bool) -> None:
    begun: list[int] = []
    ready = asyncio.Event()

    async def prepare() -> None:
        begun.append(len(begun))
        rig.outbox.emit(Warned("waiting"))
        await ready.wait()
        if fails:
            raise ModelError("not to be had")

    model = ScriptedModel([*says("so"), *done()])
    rig = Rig(model, tmp_path, prepare=prepare)
    events = await rig.turn(watch=lambda event: Interrupt() if isinstance(event, Warned) else None)
    assert isinstance(events[-1], TurnInterrupted)
    assert model.requests == []
    ready.set()
    events = await rig.turn()
    assert begun == [0, 1]
    end = events[-1]
    assert isinstance(end, TurnFailed if fails else TurnCompleted)
    assert (end.message == "not to be had") if isinstance(end, TurnFailed) else end.last_message == "so"


async def test_an_interrupted_call_that_waits_for_its_turn_is_recorded_too(tmp_path: Path) -> None:
    step = [*runs("sleep 60", "c1"), *runs("touch x", "c2"), *done()]
    rig = Rig(ScriptedModel(step, done()), tmp_path, judge=FakeJudge(touch=Decision.ASK))
    model = rig.model
    events = await rig.turn(
        person=lambda request: None,
        watch=lambda event: Interrupt() if type(event).__name__ == "ApprovalAsked" else None,
    )
    assert isinstance(events[-1], TurnInterrupted)
    assert sorted(rig.recorded()) == ["Decided", "Decided", "Ran", "Refused"]
    await rig.turn("more")
    assert set(model.outputs()) == {"c1", "c2"}
    assert not (tmp_path / "x").exists()


async def test_a_turn_has_a_time_limit_that_waiting_for_a_person_does_not_use_up(tmp_path: Path) -> None:
    async def long() -> None:
        await asyncio.sleep(60)

    rig = Rig(ScriptedModel([long, *done()]), tmp_path, seconds=0.2)
    events = await rig.turn()
    assert isinstance(events[-1], TurnFailed)
    assert "longer than 0.2 s" in events[-1].message


async def test_a_turn_has_a_limit_of_steps(tmp_path: Path) -> None:
    rig = Rig(ScriptedModel(*([*runs("true"), *done()] for _ in range(9))), tmp_path, max_steps=3)
    events = await rig.turn()
    assert isinstance(events[-1], TurnFailed)
    assert len(rig.model.requests) == 3


async def test_prompts_wait_in_line(tmp_path: Path) -> None:
    from agent.protocol.ops import StartTurn

    rig = Rig(ScriptedModel([*says("a"), *done()], [*says("b"), *done()]), tmp_path)
    await rig.thread.submit(StartTurn("one"))
    await rig.thread.submit(StartTurn("two"))
    events = [*await rig.close()]
    assert [e.prompt for e in of(TurnStarted, events)][:1] == ["one"]


async def test_close_kills_what_runs_and_says_so_last(tmp_path: Path) -> None:
    from agent.protocol.events import Closed
    from agent.protocol.ops import StartTurn

    rig = Rig(ScriptedModel([*runs("sleep 60", "c1"), *done()]), tmp_path)
    await rig.thread.submit(StartTurn("go"))
    await asyncio.sleep(0.2)
    events = await rig.close()
    assert events[-1] == Closed()
    assert of(TurnInterrupted, events)
    assert rig.model.closed


@pytest.mark.parametrize("good", range(7))
async def test_what_cannot_be_stored_ends_the_turn(tmp_path: Path, good: int) -> None:
    journal = MemoryJournal(good)
    rig = Rig(ScriptedModel([*runs("touch x", "c1"), *done()], done()), tmp_path, journal=journal)
    events = await rig.turn()
    assert isinstance(events[-1], TurnFailed)
    assert "session database" in events[-1].message
    # The call is written down before it runs.
    assert (tmp_path / "x").exists() == (good >= 3)


async def test_a_stored_thread_goes_on_where_it_was(tmp_path: Path) -> None:
    rig = Rig(ScriptedModel([*runs("echo 1", "c1"), *done()], [*says("ok"), *done()]), tmp_path)
    await rig.turn("one")
    history = History()
    replay(rig.journal.entries, history)
    assert history.input() == rig.history.input()
    assert history.usage == rig.history.usage == Usage(input_tokens=20, output_tokens=2)


async def test_a_thread_killed_at_any_moment_goes_on(tmp_path: Path) -> None:
    step = [*runs("sleep 0.1; echo 1", "c1"), *runs("echo 2", "c2"), *done()]
    rig = Rig(ScriptedModel(step, [*says("ok"), *done()]), tmp_path)
    await rig.turn("one")
    entries = rig.journal.entries
    for kept in range(len(entries) + 1):
        history = History()
        replay(entries[:kept], history)
        history.say({"type": "message", "role": "user", "content": []})
        items = history.input()
        asked = [i["call_id"] for i in items if i["type"] == "function_call"]
        answered = [i["call_id"] for i in items if i["type"] == "function_call_output"]
        assert asked == answered


async def test_a_turn_ends_also_where_its_end_cannot_be_stored(tmp_path: Path) -> None:
    class Broken(MemoryJournal):
        def write(self, kind: str, payload: JsonObject) -> None:
            if kind == TURN and payload["state"] != "started":
                raise RecursionError("too deep")
            super().write(kind, payload)

    rig = Rig(ScriptedModel([*says("hello"), *done()]), tmp_path, journal=Broken())
    events = await asyncio.wait_for(rig.turn(), 5)
    assert isinstance(events[-1], TurnFailed)
    assert "too deep" in events[-1].message


async def test_many_calls_are_run_a_bounded_number_at_once(tmp_path: Path) -> None:
    script = "touch run/$$; ls run | wc -l; sleep 0.05; rm run/$$"
    many = [event for number in range(80) for event in runs(script, f"c{number}")]
    (tmp_path / "run").mkdir()
    model = ScriptedModel([*many, *done()], [*says("ok"), *done()])
    rig = Rig(model, tmp_path)
    events = await rig.turn()
    outputs = [int(event.output) for event in of(CommandEnded, events)]
    assert len(outputs) == 80
    assert 1 < max(outputs) <= MOST_AT_ONCE


async def test_every_fault_of_calls_side_by_side_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    steps = [*runs("echo 1", "c1"), *runs("echo 2", "c2"), *done()]
    rig = Rig(ScriptedModel(steps), tmp_path, journal=MemoryJournal(5))
    events = await rig.turn()
    await rig.close()
    assert isinstance(events[-1], TurnFailed)
    del rig
    gc.collect()
    assert "never retrieved" not in caplog.text + capsys.readouterr().err
