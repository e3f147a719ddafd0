"""Reviewers: a strict answer or none, bounded, and never one that the reviewed could have written."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.approvals.answers import MOST_ANSWER, MOST_REASON, Review, encoded, read_answer
from agent.approvals.command import CommandReviewer, program_of
from agent.approvals.model import ModelReviewer
from agent.errors import ConfigError, ModelError
from agent.llm.client import ItemArrived, ModelEvent, ModelRequest, ResponseDone
from agent.protocol.approvals import ApprovalRequest
from agent.protocol.items import Usage
from execpolicy.decision import Decision, Part, Verdict

PART = Part(kind="command", text="mytool", decision=Decision.ASK)
ASK = ApprovalRequest(
    id="ask-1",
    call_id="c1",
    tool="exec_command",
    subject="mytool --token hunter2",
    cwd="/w",
    verdict=Verdict(decision=Decision.ASK, parts=(PART,)),
    details={"decision": "ask", "parts": [{"text": "mytool --token hunter2"}]},
)
LONG = b'{"decision": "allow", "reason": "' + b"x" * 9000 + b'"}'


@pytest.mark.parametrize(
    ("data", "want"),
    [
        pytest.param(b'{"decision": "allow", "reason": "fine"}', Review(True, "fine"), id="allow"),
        pytest.param(b' {"decision":"deny","reason":""}\n', Review(False, ""), id="deny"),
        pytest.param(b'{"decision": "ask"}', Review(None, ""), id="ask"),
        pytest.param(LONG, Review(True, "x" * MOST_REASON), id="a-long-reason-is-cut"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"allow", None, id="a-word"),
        pytest.param(b'"allow"', None, id="a-text"),
        pytest.param(b'{"decision": "yes"}', None, id="another-word"),
        pytest.param(b'{"decision": "Allow"}', None, id="another-case"),
        pytest.param(b'{"decision": true}', None, id="a-truth"),
        pytest.param(b'{"decision": ["allow"]}', None, id="a-list"),
        pytest.param(b'{"reason": "allow"}', None, id="no-decision"),
        pytest.param(b'{"decision": "allow", "more": 1}', None, id="an-unknown-member"),
        pytest.param(b'{"decision": "allow"} {"decision": "deny"}', None, id="two-objects"),
        pytest.param(b'{"decision": "deny", "decision": "allow"}', None, id="a-member-twice"),
        pytest.param(b'{"decision": "deny", "decisio\\u006e": "allow"}', None, id="twice-in-other-spelling"),
        pytest.param(b'\xef\xbb\xbf{"decision": "allow"}', None, id="a-byte-order-mark"),
        pytest.param(b'{"decision": "allow", "reason": NaN}', None, id="no-number"),
        pytest.param(b'sure: {"decision": "allow"}', None, id="words-around-it"),
        pytest.param(b'{"decision": "allow", "reason": 1}', None, id="a-number-as-reason"),
        pytest.param(b'{"decision": "allow\xff"}', None, id="no-utf-8"),
        pytest.param(b" " * MOST_ANSWER + b'{"decision": "allow"}', None, id="too-long"),
    ],
)
def test_only_the_wanted_form_is_an_answer(data: bytes, want: Review | None) -> None:
    if want is not None:
        assert read_answer(data) == want
        return
    with pytest.raises(ValueError, match="its answer"):
        read_answer(data)


def test_what_is_told_has_a_version_and_no_secret() -> None:
    told = json.loads(encoded(ASK, "s1", lambda text: text.replace("hunter2", "***")))
    assert (told["schema"], told["type"], told["session"], told["cwd"]) == (1, "approval_request", "s1", "/w")
    assert told["verdict"]["decision"] == "ask"
    assert "hunter2" not in json.dumps(told)
    assert "mytool --token ***" in json.dumps(told)


def command(tmp_path: Path, script: str, *, seconds: float = 20.0, most: int = 10) -> CommandReviewer:
    path = tmp_path / "reviewer"
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)
    return CommandReviewer(
        (str(path),),
        session="s1",
        seconds=seconds,
        most=most,
        environment=lambda: {"PATH": os.environ["PATH"]},
        folder=str(tmp_path),
    )


ALLOW = """echo '{"decision": "allow", "reason": "ok"}'"""


@pytest.mark.parametrize(
    ("script", "want", "why"),
    [
        pytest.param(f"cat > seen; {ALLOW}", True, "ok", id="allow"),
        pytest.param(ALLOW, True, "ok", id="it-need-not-read"),
        pytest.param("""echo '{"decision": "deny", "reason": "no"}'""", False, "no", id="deny"),
        pytest.param(f"{ALLOW}; exit 3", None, "exit status 3", id="failed"),
        pytest.param("echo yes", None, "not the JSON", id="another-answer"),
        pytest.param("", None, "not the JSON", id="no-answer"),
        pytest.param("head -c 200000 /dev/zero", None, "longer than", id="too-long"),
        pytest.param("cat /dev/zero", None, "longer than", id="endless"),
        pytest.param(f"{ALLOW} >&2", None, "not the JSON", id="on-standard-error"),
    ],
)
async def test_a_command_answers(tmp_path: Path, script: str, want: bool | None, why: str) -> None:
    reviewer = command(tmp_path, script)
    review = await reviewer.review(ASK)
    assert (review.allow, why in review.reason) == (want, True), review
    assert reviewer.name == f"command:{tmp_path}/reviewer"
    if "seen" in script:
        assert json.loads((tmp_path / "seen").read_text())["subject"] == ASK.subject


def _is_dead(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_a_command_is_bounded_in_time_with_all_that_it_started(tmp_path: Path) -> None:
    review = await command(tmp_path, "sleep 300 & echo $! > child; wait", seconds=0.5).review(ASK)
    assert review == Review(None, "it did not answer within 0.5 seconds")
    child = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    for _ in range(200):
        if _is_dead(child):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("its child lives on")


async def test_what_left_the_group_of_a_command_is_not_waited_for(tmp_path: Path) -> None:
    if shutil.which("setsid") is None:
        pytest.skip("needs setsid")
    script = "setsid sleep 300 <&0 & echo $! > child; wait"
    review = await command(tmp_path, script, seconds=0.5).review(ASK)
    assert review == Review(None, "it did not answer within 0.5 seconds")
    with contextlib.suppress(ProcessLookupError):
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


async def test_a_command_is_asked_so_often_only(tmp_path: Path) -> None:
    reviewer = command(tmp_path, ALLOW, most=1)
    assert (await reviewer.review(ASK)).allow is True
    assert (await reviewer.review(ASK)).allow is None


async def test_a_command_that_is_gone_leaves_it_to_a_person(tmp_path: Path) -> None:
    reviewer = command(tmp_path, ALLOW)
    (tmp_path / "reviewer").unlink()
    assert (await reviewer.review(ASK)).allow is None


def test_a_reviewer_that_the_reviewed_could_write_is_refused(tmp_path: Path) -> None:
    work, safe = tmp_path / "project", tmp_path / "safe"
    for folder in (work, safe):
        folder.mkdir()
        (folder / "review.sh").write_text("#!/bin/sh\n")
        (folder / "review.sh").chmod(0o755)
    (safe / "link.sh").symlink_to(work / "review.sh")
    environ = {"PATH": os.environ["PATH"]}

    def found(text: str, cwd: Path = safe) -> tuple[str, ...]:
        return program_of(text, (work,), environ, cwd)

    assert found("./review.sh --strict x") == (f"{safe}/review.sh", "--strict", "x")
    for bad in (
        f"{work}/review.sh",
        "../project/review.sh",
        "./link.sh",
        f"sh {work}/review.sh",
        "sh ../project/review.sh",
        "sh link.sh",
    ):
        with pytest.raises(ConfigError, match="may write"):
            found(bad)
    with pytest.raises(ConfigError, match="may write"):
        found("./review.sh", cwd=work)
    with pytest.raises(ConfigError, match="no reviewer"):
        found("no-such-reviewer-anywhere")
    with pytest.raises(ConfigError, match="is no command"):
        found("sh 'x")
    with pytest.raises(ConfigError, match="names no command"):
        found("  ")


# --- a model ------------------------------------------------------------------------------------


class Client:
    """Answers with what it is given, and keeps what it is asked."""

    def __init__(self, *events: ModelEvent | Exception | float) -> None:
        self.events = events
        self.requests: list[ModelRequest] = []

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self.requests.append(request)
        for event in self.events:
            if isinstance(event, Exception):
                raise event
            if isinstance(event, float):
                await asyncio.sleep(event)
                continue
            yield event

    async def aclose(self) -> None:
        return


def message(text: str) -> ItemArrived:
    return ItemArrived(
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    )


DONE = ResponseDone(Usage(900, 0, 100))


def model(client: Client, **about: Any) -> ModelReviewer:
    about = {"seconds": 20.0, "most": 10, "tokens": 10_000} | about
    return ModelReviewer(client, "small", prompt="decide", session="s1", **about)


@pytest.mark.parametrize(
    ("events", "want", "why"),
    [
        pytest.param([message('{"decision":"allow","reason":"ok"}'), DONE], True, "ok", id="allow"),
        pytest.param([message('{"decision":"deny","reason":"no"}'), DONE], False, "no", id="deny"),
        pytest.param([message("I would allow this."), DONE], None, "not the JSON", id="chat"),
        pytest.param([ItemArrived({"type": "function_call"}), DONE], None, "tried to act", id="acts"),
        pytest.param(
            [message('{"decision":"allow","reason":""}'), ResponseDone(Usage(), complete=False)],
            None,
            "broke off",
            id="broken-off",
        ),
        pytest.param([ModelError("the service is down")], None, "the service is down", id="down"),
        pytest.param([60.0, DONE], None, "did not answer", id="late"),
    ],
)
async def test_a_model_answers(events: list[Any], want: bool | None, why: str) -> None:
    reviewer = model(Client(*events), seconds=0.5 if events[0] == 60.0 else 20.0)
    review = await reviewer.review(ASK)
    assert (review.allow, why in review.reason) == (want, True), review
    assert reviewer.name == "model:small"


async def test_what_is_reviewed_cannot_end_its_own_data() -> None:
    client = Client(message('{"decision":"ask","reason":""}'), DONE)
    reviewer = model(client)
    await reviewer.review(ASK)
    await reviewer.review(ASK)
    marks = []
    for request in client.requests:
        texts = [item["content"][0]["text"] for item in request.input]  # type: ignore[index, call-overload]
        assert texts[0] == "decide"
        first, data, last = str(texts[1]).split("\n")
        assert first == last
        assert json.loads(data)["subject"] == ASK.subject
        marks.append(first)
        assert request.tools == ()
        assert request.text_format is not None
        assert request.text_format["strict"] is True
    assert marks[0] != marks[1]


@pytest.mark.parametrize("bounds", [{"tokens": 1000}, {"most": 1}])
async def test_a_model_is_bounded_in_tokens_and_count(bounds: dict[str, int]) -> None:
    client = Client(message('{"decision":"allow","reason":""}'), DONE)
    reviewer = model(client, **bounds)
    assert (await reviewer.review(ASK)).allow is True
    assert (await reviewer.review(ASK)).allow is None
    assert len(client.requests) == 1
