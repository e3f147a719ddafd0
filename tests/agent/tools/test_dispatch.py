"""The one line: nothing runs unjudged or unrecorded, and every call is answered."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from fakes import FailingSink, FakeJudge, Rig, ScriptedModel, done, no_sandbox, of, runs

from agent.protocol.approvals import Answer, ApprovalReply, ApprovalRequest
from agent.protocol.events import (
    ApprovalAnswered,
    ApprovalAsked,
    CommandEnded,
    CommandStarted,
    Judged,
    Refusal,
    Status,
    TurnCompleted,
    TurnInterrupted,
    Warned,
)
from agent.tools.approval import ApprovalDesk
from agent.tools.base import Request, RunScript
from agent.tools.judgement import Judgement
from agent.tools.shell import ShellLimits
from compliance.events import Approved, Decided, Outcome, Ran, Refused, Reply
from execpolicy.decision import Decision, Scope


def touching(tmp_path: Path, *steps: list[object], **more: object) -> Rig:
    """A rig whose judge asks for `touch` and denies `rm`."""
    model = ScriptedModel(*steps, *([done()] * 3))  # type: ignore[arg-type]
    more.setdefault("judge", FakeJudge(touch=Decision.ASK, rm=Decision.DENY))
    return Rig(model, tmp_path, **more)  # type: ignore[arg-type]


async def test_a_denied_call_is_told_recorded_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    rig = touching(tmp_path, [*runs("rm x", "c1"), *done()])
    events = await rig.turn()
    told = rig.model.outputs()["c1"]
    assert told.startswith("exec_command rejected: the policy denies `rm x`: the script says deny")
    assert "not run" in told
    assert of(CommandEnded, events)[0].refusal is Refusal.POLICY
    assert of(CommandEnded, events)[0].status is Status.DECLINED
    assert not of(CommandStarted, events)
    assert (tmp_path / "x").exists()
    assert rig.recorded() == ["Decided", "Refused"]


async def test_the_verdict_is_recorded_before_anything_runs(tmp_path: Path) -> None:
    log = tmp_path / "log"

    class Watching(FailingSink):
        def record(self, event: object) -> int:
            self.seen = [*getattr(self, "seen", []), (type(event).__name__, log.exists())]
            return 1

    sink = Watching(99)
    await touching(tmp_path, [*runs("echo > log"), *done()], sink=sink).turn()
    assert sink.seen == [("Decided", False), ("Ran", True)]


@pytest.mark.parametrize(
    ("answer", "ran", "told"),
    [
        pytest.param(Answer.YES, True, "exited with code 0", id="yes"),
        pytest.param(Answer.SESSION, True, "exited with code 0", id="session"),
        pytest.param(Answer.NO, False, "rejected by the user: use make", id="no-with-message"),
    ],
)
async def test_an_ask_is_answered(tmp_path: Path, answer: Answer, ran: bool, told: str) -> None:
    rig = touching(tmp_path, [*runs("touch x", "c1"), *done()])

    def person(request: ApprovalRequest) -> ApprovalReply:
        return ApprovalReply(request_id=request.id, answer=answer, message="use make", approver="ann")

    events = await rig.turn(person=person)
    assert (tmp_path / "x").exists() is ran
    assert told in rig.model.outputs()["c1"]
    assert rig.recorded() == ["Decided", "Approved", "Ran" if ran else "Refused"]
    approved = rig.sink.events[1]
    assert isinstance(approved, Approved)
    assert (approved.answer.value, approved.approver) == (answer.value, "ann")
    assert len(of(ApprovalAnswered, events)) == 1


async def test_stop_refuses_the_call_and_ends_the_turn(tmp_path: Path) -> None:
    step = [*runs("touch x", "c1"), *runs("sleep 30", "c2"), *done()]
    rig = touching(tmp_path, step)
    events = await rig.turn(person=lambda request: Answer.STOP)
    assert isinstance(events[-1], TurnInterrupted)
    assert not (tmp_path / "x").exists()
    assert sorted(rig.recorded()) == ["Approved", "Decided", "Decided", "Ran", "Refused"]


async def test_an_ask_nobody_can_answer_is_refused_with_the_way_out(tmp_path: Path) -> None:
    rig = touching(tmp_path, [*runs("touch x", "c1"), *done()], attended=False)
    events = await rig.turn()
    assert not of(ApprovalAsked, events)
    assert of(CommandEnded, events)[0].refusal is Refusal.NOBODY
    told = rig.model.outputs()["c1"]
    assert "nobody can be asked" in told
    assert "by hand" in told
    assert isinstance(rig.sink.events[1], Approved)
    assert rig.sink.events[1].answer is Reply.UNATTENDED
    assert rig.recorded() == ["Decided", "Approved", "Refused"]
    assert isinstance(events[-1], TurnCompleted)


async def test_a_yes_for_the_session_covers_the_same_command_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    rig = touching(
        tmp_path,
        [*runs("touch x"), *done()],
        [*runs("touch x"), *runs("touch x "), *runs("touch x", workdir="sub"), *done()],
    )
    asked: list[tuple[str, str]] = []

    def person(request: ApprovalRequest) -> Answer:
        asked.append((request.subject, request.cwd))
        assert "exactly this command" in request.session_grant
        return Answer.SESSION

    await rig.turn(person=person)
    cwd = str(tmp_path)
    assert asked == [("touch x", cwd), ("touch x ", cwd), ("touch x", f"{cwd}/sub")]
    assert [e.answer for e in rig.sink.events if isinstance(e, Approved)] == [Reply.SESSION] * 4


async def test_a_yes_for_the_session_does_not_outlive_a_changed_verdict(tmp_path: Path) -> None:
    judge = FakeJudge(touch=Decision.ASK)
    rig = touching(
        tmp_path, [*runs("touch x"), *done()], done(), [*runs("touch x", "c2"), *done()], judge=judge
    )
    await rig.turn(person=lambda request: Answer.SESSION)
    judge.decisions = {"touch": Decision.DENY}
    await rig.turn(person=lambda request: Answer.SESSION)
    assert "rejected" in rig.model.outputs()["c2"]


async def test_a_once_only_verdict_is_never_granted_for_the_session(tmp_path: Path) -> None:
    class Once(FakeJudge):
        def judge(self, tool: str, request: Request) -> Judgement:
            from dataclasses import replace

            found = super().judge(tool, request)
            return replace(found, verdict=replace(found.verdict, scope=Scope.ONCE))

    rig = touching(
        tmp_path, [*runs("touch x"), *done()], [*runs("touch x"), *done()], judge=Once(touch=Decision.ASK)
    )
    asked: list[str] = []

    def person(request: ApprovalRequest) -> Answer:
        asked.append(request.session_grant)
        return Answer.SESSION

    await rig.turn(person=person)
    assert asked == ["", ""]
    assert [e.answer for e in rig.sink.events if isinstance(e, Approved)] == [Reply.YES] * 2


async def test_several_asks_come_one_after_the_other(tmp_path: Path) -> None:
    rig = touching(
        tmp_path, [*runs("touch a"), *runs("touch b"), *runs("touch a"), *runs("echo free"), *done()]
    )
    questions: list[str] = []

    def person(request: ApprovalRequest) -> Answer:
        questions.append(request.subject)
        return Answer.SESSION

    events = await rig.turn(person=person)
    # The second `touch a` was in line when the first was granted for the session.
    assert questions == ["touch a", "touch b"]
    asked = [i for i, e in enumerate(events) if isinstance(e, ApprovalAsked)]
    answered = [i for i, e in enumerate(events) if isinstance(e, ApprovalAnswered)]
    assert asked[0] < answered[0] < asked[1] < answered[1]
    assert (tmp_path / "a").exists()
    assert (tmp_path / "b").exists()


async def test_a_question_says_how_many_wait_behind_it() -> None:
    asked: list[ApprovalAsked] = []
    desk = ApprovalDesk(
        lambda event: asked.append(event) if isinstance(event, ApprovalAsked) else None, attended=True
    )
    judge = FakeJudge(touch=Decision.ASK)
    requests = [RunScript(script=f"touch {name}", cwd="/") for name in "abc"]
    asks = [
        asyncio.create_task(desk.ask(r.script, "exec_command", r, judge.judge("exec_command", r)))
        for r in requests
    ]
    while not all(ask.done() for ask in asks):
        await asyncio.sleep(0)
        for event in asked:
            desk.answer(ApprovalReply(request_id=event.request.id, answer=Answer.NO))
    assert [(event.request.subject, event.request.waiting) for event in asked] == [
        ("touch a", 0),
        ("touch b", 1),
        ("touch c", 0),
    ]


async def test_an_answer_to_no_question_is_dropped_with_a_warning(tmp_path: Path) -> None:
    from agent.protocol.ops import Reply as ReplyOp

    rig = touching(tmp_path, done())
    await rig.thread.submit(ReplyOp(ApprovalReply(request_id="ask-9", answer=Answer.YES)))
    events = await rig.close()
    assert "ask-9" in of(Warned, events)[0].message


@pytest.mark.parametrize("good", range(3))
async def test_what_cannot_be_recorded_does_not_run(tmp_path: Path, good: int) -> None:
    rig = touching(tmp_path, [*runs("touch x", "c1"), *done()], sink=FailingSink(good))
    events = await rig.turn()
    assert (tmp_path / "x").exists() is (good == 2)  # both verdict and answer are in the record
    assert "no space left on device" in rig.model.outputs()["c1"]
    assert any("audit record" in warning.message for warning in of(Warned, events))
    if good < 2:
        assert of(CommandEnded, events)[0].refusal is Refusal.RECORD


async def test_a_denied_call_that_cannot_be_recorded_is_refused_all_the_same(tmp_path: Path) -> None:
    rig = touching(tmp_path, [*runs("rm x", "c1"), *done()], sink=FailingSink(1))
    events = await rig.turn()
    assert len(of(CommandEnded, events)) == 1
    assert isinstance(events[-1], TurnCompleted)


async def test_without_a_sandbox_nothing_runs(tmp_path: Path) -> None:
    rig = touching(tmp_path, [*runs("echo > x", "c1"), *done()], sandboxes=no_sandbox)
    events = await rig.turn()
    assert not (tmp_path / "x").exists()
    assert of(CommandEnded, events)[0].refusal is Refusal.SANDBOX
    assert of(Warned, events)[0].help == "apt install bubblewrap"
    assert rig.recorded() == ["Decided", "Refused"]


async def test_a_program_that_cannot_be_started_is_an_answer(tmp_path: Path) -> None:
    rig = touching(tmp_path, [*runs("echo hi", "c1"), *done()])
    rig.dispatcher.registry._tools["exec_command"]._bash = "/nowhere/bash"  # type: ignore[attr-defined]
    events = await rig.turn()
    assert rig.model.outputs()["c1"].startswith("exec_command failed")
    assert of(CommandEnded, events)[0].status is Status.FAILED
    assert rig.recorded() == ["Decided", "Ran"]


@pytest.mark.parametrize(
    ("script", "ending", "status", "outcome"),
    [
        pytest.param("exit 3", "exited with code 3\n", Status.FAILED, Outcome.FAILED, id="exit"),
        pytest.param("kill -9 $$", "code 137 (signal 9)\n", Status.FAILED, Outcome.FAILED, id="signal"),
        pytest.param("nosuchprogram", "code 127\n", Status.FAILED, Outcome.FAILED, id="missing"),
        pytest.param("sleep 9", "0.3 seconds (time-out)\n", Status.FAILED, Outcome.TIMED_OUT, id="time-out"),
    ],
)
async def test_the_end_of_a_command_is_told(
    tmp_path: Path, script: str, ending: str, status: Status, outcome: Outcome
) -> None:
    step = [*runs(script, "c1", timeout_ms=300 if "sleep" in script else 20_000), *done()]
    rig = touching(tmp_path, step)
    events = await rig.turn()
    assert ending in rig.model.outputs()["c1"]
    assert of(CommandEnded, events)[0].status is status
    ran = rig.sink.events[-1]
    assert isinstance(ran, Ran)
    assert ran.status is outcome


async def test_a_flood_of_output_is_bounded(tmp_path: Path) -> None:
    script = "head -c 50000000 /dev/zero | tr '\\0' x; echo END"
    rig = touching(tmp_path, [*runs(script, "c1"), *done()], limits=ShellLimits(seconds=100))
    events = await rig.turn()
    told = rig.model.outputs()["c1"]
    assert len(told) < 45_000
    assert told.endswith("END\n")
    assert "tokens truncated…" in told
    assert "Original token count: 12500001\n" in told
    ended = of(CommandEnded, events)[0]
    assert len(ended.output) <= (1 << 20) + 100
    assert ended.omitted_bytes > 48_000_000
    live = sum(len(e.text) for e in events if type(e).__name__ == "CommandOutput")
    assert live <= 1 << 18
    ran = rig.sink.events[-1]
    assert isinstance(ran, Ran)
    assert ran.output_bytes == 50_000_004


async def test_binary_output_does_no_harm(tmp_path: Path) -> None:
    rig = touching(tmp_path, [*runs("printf 'a\\377\\000\\200b'", "c1"), *done()])
    await rig.turn()
    assert rig.model.outputs()["c1"].endswith("Output:\na�\0�b")


async def test_less_output_can_be_asked_for_and_not_more(tmp_path: Path) -> None:
    step = [
        *runs("seq 1000", "c1", max_output_tokens=10),
        *runs("seq 100000", "c2", max_output_tokens=9_999_999),
        *done(),
    ]
    rig = touching(tmp_path, step, limits=ShellLimits(seconds=20, output_tokens=100))
    await rig.turn()
    outputs = rig.model.outputs()
    assert len(outputs["c1"]) < 300
    assert len(outputs["c2"]) < 700


async def test_no_secret_reaches_a_child(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "OPENAI_API_KEY": "sk-canary", "MY_TOKEN": "canary", "PLAIN": "kept"}
    rig = touching(tmp_path, [*runs("env", "c1"), *done()], env=env)
    await rig.turn()
    told = rig.model.outputs()["c1"]
    assert "canary" not in told
    assert "PLAIN=kept" in told


async def test_every_call_is_judged_and_the_verdict_is_told(tmp_path: Path) -> None:
    rig = touching(tmp_path, [*runs("echo 1"), *runs("rm x"), *done()])
    events = await rig.turn()
    assert [(e.subject, e.verdict.decision, e.details) for e in of(Judged, events)] == [
        ("echo 1", Decision.ALLOW, {"decision": "allow"}),
        ("rm x", Decision.DENY, {"decision": "deny"}),
    ]
    recorded = [e for e in rig.sink.events if isinstance(e, Decided)]
    assert [e.subject for e in recorded] == ["echo 1", "rm x"]


async def test_a_question_taken_back_by_an_interrupt_is_recorded_as_aborted(tmp_path: Path) -> None:
    from agent.protocol.ops import Interrupt

    rig = touching(tmp_path, [*runs("touch x", "c1"), *done()])
    events = await rig.turn(
        person=lambda request: None,
        watch=lambda event: Interrupt() if isinstance(event, ApprovalAsked) else None,
    )
    assert isinstance(events[-1], TurnInterrupted)
    refused = rig.sink.events[-1]
    assert isinstance(refused, Refused)
    assert refused.why == "aborted by user"
    assert of(CommandEnded, events)[0].status is Status.INTERRUPTED


async def test_the_wait_for_a_person_is_not_counted_as_time_of_the_turn(tmp_path: Path) -> None:
    rig = touching(tmp_path, [*runs("touch x", "c1"), *done()], seconds=0.6)

    async def later(request: ApprovalRequest) -> None:
        await asyncio.sleep(0.9)
        rig.desk.answer(ApprovalReply(request_id=request.id, answer=Answer.YES))

    tasks: list[asyncio.Task[None]] = []

    def person(request: ApprovalRequest) -> None:
        tasks.append(asyncio.create_task(later(request)))

    events = await rig.turn(person=person)
    assert isinstance(events[-1], TurnCompleted)


async def test_a_fault_of_ours_is_an_answer_and_a_record(tmp_path: Path) -> None:
    class Broken(FakeJudge):
        def judge(self, tool: str, request: Request) -> Judgement:
            raise AssertionError("cannot happen")

    rig = touching(
        tmp_path, [*runs("touch x", "c1"), *runs("touch " + "y" * 5000, "c2"), *done()], judge=Broken()
    )
    events = await rig.turn()
    assert "AssertionError: cannot happen" in rig.model.outputs()["c1"]
    assert "AssertionError: cannot happen" in rig.model.outputs()["c2"]
    assert rig.recorded() == ["Refused", "Refused"]
    assert isinstance(events[-1], TurnCompleted)
    assert not (tmp_path / "x").exists()


async def test_a_long_command_is_judged_without_holding_up_the_rest(tmp_path: Path) -> None:
    class Slow(FakeJudge):
        def judge(self, tool: str, request: Request) -> Judgement:
            if isinstance(request, RunScript) and len(request.script) > 1000:
                time.sleep(0.5)
            return super().judge(tool, request)

    rig = touching(
        tmp_path, [*runs("true " + "x" * 5000, "c1"), *runs("touch quick", "c2"), *done()], judge=Slow()
    )
    events = await rig.turn()
    ended = [event.call_id for event in of(CommandEnded, events)]
    assert ended == ["c2", "c1"]


async def test_a_command_knows_the_trace_that_its_call_belongs_to(tmp_path: Path) -> None:
    model = ScriptedModel([*runs("echo $TRACEPARENT", "c1"), *done()], done())
    rig = Rig(model, tmp_path, trace=lambda call_id: f"00-{call_id}")
    await rig.turn()
    assert model.outputs()["c1"].endswith("Output:\n00-c1\n")
