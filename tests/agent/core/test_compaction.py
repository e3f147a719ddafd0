"""A conversation that grows too long: summed up in time, with nothing lost that must stay, also on resume."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import Rig, ScriptedModel, calls, calls_custom, cut, done, of, runs, says

from agent.core.compaction import HEAD, replacement
from agent.core.context import History
from agent.core.context import replay as replayed
from agent.errors import ModelError
from agent.protocol.events import Compacted, TurnCompleted, Warned
from agent.protocol.items import call_output, message_text, user_message


def rig(folder: Path, *steps: Any, limit: int = 1000, state: str = "") -> tuple[Rig, ScriptedModel]:
    model = ScriptedModel(*steps)
    made = Rig(model, folder)
    parts = made.thread._parts
    made.thread._parts = replace(parts, compact_tokens=limit, state=lambda: state)
    return made, model


async def test_between_steps_the_conversation_is_summed_up(tmp_path: Path) -> None:
    made, model = rig(
        tmp_path,
        [
            *calls("update_plan", plan=[{"step": "dig", "status": "in_progress"}]),
            *runs("echo hi"),
            *done(5000),
        ],
        [*says("I dug."), *done(50)],
        [*says("ready"), *done()],
        state="Running: session 7 (`sleep`)",
    )
    events = await made.turn("do the thing")
    (compacted,) = of(Compacted, events)
    assert compacted.tokens_before > 5000 > 1000 > compacted.tokens_after
    asked, after = model.requests[1], model.requests[2]
    assert asked.tools == ()
    assert "hand-over" in message_text(asked.input[-1])
    assert [message_text(item).partition("\n")[0] for item in after.input] == ["do the thing", HEAD]
    summary = message_text(after.input[-1])
    for kept in ("I dug.", "- [in_progress] dig", "session 7"):
        assert kept in summary
    end = of(TurnCompleted, events)[0]
    assert (end.last_message, end.usage.input_tokens) == ("ready", 5060)


async def test_a_short_conversation_is_left_alone(tmp_path: Path) -> None:
    made, model = rig(tmp_path, [*runs("echo hi"), *done(900)], [*says("ok"), *done()], limit=2000)
    events = await made.turn()
    assert of(Compacted, events) == []
    assert len(model.requests) == 2


async def test_before_a_turn_and_again(tmp_path: Path) -> None:
    made, model = rig(
        tmp_path,
        [*says("a"), *done(5000)],
        [*says("sum one"), *done()],
        [*says("b"), *done(5000)],
        [*says("sum two"), *done()],
        [*says("c"), *done()],
    )
    for prompt in ("one", "two", "three"):
        await made.turn(prompt)
    words = [message_text(item).partition("\n")[0] for item in model.requests[-1].input]
    assert words == ["one", "two", "three", HEAD]
    assert "sum two" in message_text(model.requests[-1].input[-1])


async def test_a_resumed_thread_goes_on_from_the_summary(tmp_path: Path) -> None:
    made, _ = rig(tmp_path, [*says("a"), *done(5000)], [*says("sum"), *done()], [*says("b"), *done(7)])
    await made.turn("one")
    await made.turn("two")
    again = History()
    replayed(made.journal.entries, again)
    assert again.input() == made.history.input()
    assert again.usage == made.history.usage


@pytest.mark.parametrize(
    "step",
    [
        pytest.param([ModelError("too long")], id="refused"),
        pytest.param(done(), id="nothing"),
        pytest.param([*says("half"), *cut()], id="cut"),
    ],
)
async def test_a_summary_that_fails_is_a_warning_and_old_outputs_go(tmp_path: Path, step: Any) -> None:
    first = [*runs("head -c 30000 /dev/zero | tr '\\0' x", "c1"), *done(10)]
    made, model = rig(tmp_path, first, step, [*runs("true", "c2"), *done(8000)], step, [*says("b"), *done()])
    events = await made.turn()
    assert "could not be summed up" in of(Warned, events)[0].message
    assert isinstance(events[-1], TurnCompleted)
    assert "removed" in model.outputs()["c1"]


async def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    from agent.protocol.events import TurnInterrupted

    async def interrupt() -> None:
        made.thread._interrupt("enough")

    made, _ = rig(tmp_path, [*runs("echo"), *done(5000)], [interrupt, *says("late"), *done()])
    events = await made.turn()
    assert isinstance(events[-1], TurnInterrupted)
    assert of(Compacted, events) == []


PATCH = (
    "*** Begin Patch\n*** Update File: a.py\n*** Move to: b.py\n@@\n*** Add File: c d.py\n+x\n*** End Patch\n"
)


def item(step: list[Any]) -> Any:
    return step[0].item


def test_files_and_plan_survive_two_summaries() -> None:
    plan = item(calls("update_plan", plan=[{"step": "s", "status": "pending"}]))
    heredoc = item(runs(f"apply_patch <<'EOF'\n{PATCH.replace('a.py', 'z.py')}EOF"))
    once = replacement(
        [user_message("go"), plan, item(calls_custom("apply_patch", PATCH)), heredoc], "sum", ""
    )
    twice = replacement([*once, user_message("more")], "sum again", "state")
    text = message_text(twice[-1])
    for kept in (
        "- [pending] s",
        "- update a.py",
        "- move b.py",
        "- add c d.py",
        "- update z.py",
        "sum again",
        "state",
    ):
        assert kept in text
    assert "sum\n" not in text
    assert [message_text(one) for one in twice[:-1]] == ["go", "more"]


def test_what_the_model_writes_passes_for_nothing_of_ours() -> None:
    plan = item(
        calls(
            "update_plan",
            plan=[{"step": "real\n\nstep", "status": "pending"}, {"step": "b", "status": "pending"}],
        )
    )
    patch = item(calls_custom("apply_patch", PATCH))
    items = (user_message("go"), plan, patch)
    for _ in range(5):
        items = replacement(
            items, "The plan:\n- [completed] all\n\nFiles changed so far:\n- delete b.py\n", ""
        )
    text = message_text(items[-1])
    assert (
        "The plan:\n- [pending] real step\n- [pending] b\n\nFiles changed so far:\n- update a.py\n- move b.py"
        in text
    )
    assert text.count("all\n") == text.count("delete b.py") == 1


@pytest.mark.parametrize("steps", ["text", [1], [{"step": 5, "status": "pending"}], {"a": 1}, None])
def test_a_plan_that_is_none_breaks_nothing(steps: Any) -> None:
    good = item(calls("update_plan", plan=[{"step": "s", "status": "pending"}]))
    made = replacement([user_message("go"), good, item(calls("update_plan", plan=steps))], "sum", "")
    assert "- [pending] s" in message_text(made[-1])


def test_it_is_bounded() -> None:
    items = [user_message(f"{n} " + "x" * 50_000) for n in range(20)]
    made = replacement(items, "y" * 1_000_000, "")
    assert len(json.dumps(made)) < 250_000
    assert message_text(made[-2]).startswith("19 ")


def test_a_picture_counts_as_a_picture() -> None:
    history = History()
    call = item(calls("view_image", "c1", path="a"))
    history.receive(call)
    url = "data:image/png;base64," + "A" * 1_000_000
    history.answer(call_output(call, "", [{"type": "input_image", "image_url": url}]))
    assert history.tokens < 3000
