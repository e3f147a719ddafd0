"""Whole runs of the command: a process, a model over HTTP, real rules, a real record."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.llm.scripted import Calls, CallsCustom, Fail, Respond, Says, ScriptedServer, Step, replay, respond

CANARY = "sk-canary-5f3a9d1c7b"
RULES = """
prefix_rule(pattern = [["echo", "sleep", "env"]], decision = "allow")
prefix_rule(pattern = ["touch"], decision = "ask", justification = "it makes files")
prefix_rule(pattern = ["rm"], decision = "deny", justification = "nothing is removed", suggest = "leave it")
"""


class Place:
    """A project, a state folder and the command."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = root / "project"
        self.home = root / "home"
        self.project.mkdir()
        (root / "a.rules").write_text(RULES)

    def environ(self) -> dict[str, str]:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "AGENT"))
        }
        return clean | {"AGENT_HOME": str(self.home), "OPENAI_API_KEY": CANARY, "NO_COLOR": "1"}

    def argv(self, server: ScriptedServer | None, *words: str) -> list[str]:
        url = ["--base-url", server.base_url] if server else []
        rules = ["--policy", str(self.root / "a.rules")]
        return [sys.executable, "-I", "-m", "agent", *url, *rules, "-s", "full-access", *words]

    def run(
        self, server: ScriptedServer | None, *words: str, stdin: str | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.argv(server, *words),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=cwd or self.project,
            env=self.environ(),
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def start(self, server: ScriptedServer, *words: str, **about: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(server, *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.project,
            env=self.environ(),
            **about,
        )

    def events(self, text: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@contextmanager
def model(*steps: Step) -> Iterator[ScriptedServer]:
    with ScriptedServer(replay(steps)) as server:
        yield server


def command(text: str) -> Calls:
    return Calls("exec_command", {"cmd": text})


def test_the_built_in_model_passes_for_no_other(place: Place) -> None:
    place.environ = lambda: {  # type: ignore[method-assign]
        name: value for name, value in Place.environ(place).items() if name != "OPENAI_API_KEY"
    }
    told = place.events(place.run(None, "exec", "--json", "hi").stdout)
    assert told[0]["model"] == "scripted"
    (segment,) = (place.home / "audit").glob("records-*")
    assert place.events(segment.read_text())[0]["event"]["model"] == "scripted"


def test_progress_and_answer_go_their_own_ways(place: Place) -> None:
    with model(
        respond(Says("I try."), command("echo hi; echo $OPENAI_API_KEY-")), respond(Says("Done."))
    ) as server:
        done = place.run(server, "exec", "say hi", "-o", str(place.root / "last"))
    assert (done.returncode, done.stdout) == (0, "Done.\n")
    assert (place.root / "last").read_text() == "Done."
    for want in ("$ echo hi", "policy: allow", "succeeded in", "  hi\n", "I try.", "tokens used: "):
        assert want in done.stderr, want


@pytest.mark.parametrize("both", [False, True])
def test_the_answer_cannot_steer_a_terminal(place: Place, both: bool) -> None:
    with model(respond(Says("Do\x1b[2Jne."))) as server:
        screen, terminal = os.openpty()
        child = subprocess.Popen(
            place.argv(server, "exec", "go"),
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal if both else subprocess.DEVNULL,
            cwd=place.project,
            env=place.environ(),
        )
        assert child.wait(timeout=30) == 0
        shown = os.read(screen, 1 << 16).decode()
        os.close(terminal)
        os.close(screen)
    assert "\x1b" not in shown
    assert shown.count("Do␛[2Jne.") == 1


def test_the_key_is_nowhere(place: Place) -> None:
    with model(respond(command("env")), respond(Says("Done."))) as server:
        done = place.run(server, "exec", "--json", "look")
    assert done.returncode == 0
    assert CANARY not in done.stdout + done.stderr
    files = [file for file in place.root.rglob("*") if file.is_file()]
    assert any(file.name == "sessions.db" for file in files)
    assert [file for file in files if CANARY.encode() in file.read_bytes()] == []


def test_json_and_nothing_else_on_standard_output(place: Place) -> None:
    patch = "*** Begin Patch\n*** Add File: new.txt\n+x\n*** End Patch\n"
    with model(
        respond(command("echo hi"), command("rm -rf x"), command("touch y")),
        respond(CallsCustom("apply_patch", patch), Calls("nope", {})),
        respond(Says("Done.")),
    ) as server:
        done = place.run(server, "exec", "--experimental-json", stdin="do it")
    assert done.returncode == 0
    told = place.events(done.stdout)
    assert [told[0]["type"], told[1]["type"], told[-1]["type"]] == [
        "thread.started",
        "turn.started",
        "turn.completed",
    ]
    verdicts = {one["subject"]: one for one in told if one["type"] == "policy.verdict"}
    assert verdicts["echo hi"]["decision"] == "allow"
    assert verdicts["rm -rf x"]["reason"] == "nothing is removed"
    assert verdicts["rm -rf x"]["way_out"] == "leave it"
    assert verdicts["rm -rf x"]["verdict"]["decision"] == "deny"
    ended = {
        one["item"]["script"]: one["item"]
        for one in told
        if one["type"] == "item.completed" and one["item"]["type"] == "command_execution"
    }
    assert (ended["echo hi"]["status"], ended["echo hi"]["exit_code"]) == ("completed", 0)
    assert (ended["rm -rf x"]["status"], ended["rm -rf x"]["refusal"]) == ("declined", "policy")
    assert (ended["touch y"]["status"], ended["touch y"]["refusal"]) == ("declined", "nobody")
    (change,) = [one["item"] for one in told if one.get("item", {}).get("type") == "file_change"][-1:]
    assert change["changes"] == [{"path": str(place.project / "new.txt"), "kind": "add"}]
    assert change["status"] == "completed"
    assert [one["tool"] for one in told if one["type"] == "call.failed"] == ["nope"]
    assert not (place.project / "y").exists()


@pytest.mark.parametrize(
    ("call", "fail_on", "status"),
    [
        ("rm x", "never", 0),
        ("rm x", "deny", 1),
        ("rm x", "ask", 1),
        ("touch x", "deny", 0),
        ("touch x", "ask", 1),
        ("echo x", "ask", 0),
    ],
)
def test_a_refused_action_can_change_the_exit_status(
    place: Place, call: str, fail_on: str, status: int
) -> None:
    with model(respond(command(call)), respond(Says("Done."))) as server:
        done = place.run(server, "exec", "--fail-on", fail_on, "go")
    assert done.returncode == status
    assert ("--fail-on" in done.stderr) == bool(status)


def test_a_task_that_fails_leaves_the_file_empty(place: Place) -> None:
    (place.root / "last").write_text("of yesterday")
    with model(Fail(400, "no such model")) as server:
        done = place.run(server, "exec", "--json", "go", "-o", str(place.root / "last"))
    assert done.returncode == 1
    told = place.events(done.stdout)
    assert [one["type"] for one in told[-2:]] == ["error", "turn.failed"]
    assert "no such model" in told[-1]["error"]["message"]
    assert (place.root / "last").read_text() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_task_and_everything_is_kept(place: Place, number: signal.Signals) -> None:
    with model(respond(command("sleep 61.25")), respond(Says("Again."))) as server:
        child = place.start(server, "exec", "--json", "go")
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        while '"item.started"' not in lines[-1]:
            lines.append(child.stdout.readline())
        time.sleep(0.2)
        child.send_signal(number)
        rest, errors = child.communicate(timeout=20)
        assert child.returncode == 1, errors
        assert "Traceback" not in errors
        told = place.events("".join(lines) + rest)
        assert [one["type"] for one in told[-2:]] == ["turn.interrupted", "turn.failed"]
        assert told[-2]["reason"] == number.name
        if shutil.which("pgrep"):
            assert subprocess.run(["pgrep", "-f", "sleep 61.25"], check=False).returncode == 1
        resumed = place.run(server, "exec", "resume", "--last", "go on")
    assert (resumed.returncode, resumed.stdout) == (0, "Again.\n")
    audit = subprocess.run(
        [sys.executable, "-I", "-m", "agent", "audit", "verify"],
        env=place.environ(),
        capture_output=True,
        text=True,
    )
    assert audit.returncode == 0, audit.stdout + audit.stderr


@pytest.mark.parametrize("words", [("exec", "-"), ("exec", "--json", "-")], ids=["text", "json"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_that_has_only_begun(
    place: Place, number: signal.Signals, words: tuple[str, ...]
) -> None:
    child = subprocess.Popen(
        # Nobody ends the input: the run waits for its task, long before a session is there.
        place.argv(None, *words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=place.project,
        env=place.environ(),
    )
    assert child.stderr is not None
    time.sleep(1.0)
    child.send_signal(number)
    assert child.wait(10) == 1
    assert child.stderr.read().endswith("error: interrupted\n")
    told = [json.loads(line)["type"] for line in child.communicate()[0].splitlines()]
    assert told == (["turn.interrupted", "turn.failed"] if "--json" in words else [])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-c", "modle=x"], "did you mean `model`?"),
        (["-C", "none"], "is not a folder"),
        (["--output-schema", "none"], "cannot read `none`"),
        (["resume", "00000000"], "no session"),
        (["-o", "none/none"], "cannot write"),
        (["--policy", "none.rules"], "does not exist"),
    ],
)
def test_what_cannot_be_begun_has_a_last_event_too(place: Place, words: list[str], says: str) -> None:
    done = place.run(None, "exec", "--json", *words, "go")
    assert done.returncode in (1, 2)
    error, failed = place.events(done.stdout)
    assert (error["type"], failed["type"]) == ("error", "turn.failed")
    assert says in failed["error"]["message"]
    assert says in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_whose_events_nobody_reads(place: Place, number: signal.Signals) -> None:
    long = command("echo " + "x" * 100_000)
    with model(respond(long, long), respond(Says("Done."))) as server:
        child = place.start(server, "exec", "--json", "go")
        assert child.stdout is not None
        while not server.requests:
            time.sleep(0.05)
        time.sleep(1.0)
        child.send_signal(number)
        assert child.wait(20) == 1
        told, errors = child.communicate()
    assert "Traceback" not in errors
    whole = [json.loads(line) for line in told.splitlines(keepends=True) if line.endswith("\n")]
    assert whole[0]["type"] == "thread.started"


def test_a_hang_up_that_is_to_be_ignored_ends_nothing(place: Place) -> None:
    with model(respond(command("sleep 1")), respond(Says("Done."))) as server:
        child = place.start(
            server, "exec", "--json", "go", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
        )
        assert child.stdout is not None
        while '"item.started"' not in child.stdout.readline():
            pass
        child.send_signal(signal.SIGHUP)
        child.communicate(timeout=20)
    assert child.returncode == 0


def test_a_run_whose_record_broke_fails_with_a_last_word(
    place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from compliance.errors import AuditError
    from compliance.log import AuditLog

    def full(*_: object) -> int:
        raise AuditError("no space left on device")

    real = AuditLog.record
    monkeypatch.setattr(
        AuditLog,
        "record",
        lambda log, event: (full if type(event).__name__ == "Decided" else real)(log, event),
    )
    for name, value in place.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(place.project)
    with model(respond(command("touch made")), respond(Says("Done."))) as server:
        status = main(place.argv(server, "exec", "go")[4:])
    assert status == 1
    assert (
        "error: 1 call(s) were refused because the audit record could not be written"
        in capfd.readouterr().err
    )
    assert not (place.project / "made").exists()


def test_a_killed_run_is_resumed(place: Place) -> None:
    with model(respond(command("sleep 1.37")), respond(Says("Again."))) as server:
        child = place.start(server, "exec", "--json", "go")
        assert child.stdout is not None
        while '"item.started"' not in child.stdout.readline():
            pass
        child.kill()
        child.communicate()
        resumed = place.run(server, "exec", "resume", "--last", "go on")
        assert (resumed.returncode, resumed.stdout) == (0, "Again.\n")
        history = server.requests[-1]["input"]
        assert isinstance(history, list)
        outputs = [
            item for item in history if isinstance(item, dict) and item["type"] == "function_call_output"
        ]
        assert len(outputs) == 1


def test_sessions_are_found_where_they_belong(place: Place) -> None:
    other = place.root / "other"
    other.mkdir()
    with model(respond(Says("One.")), respond(Says("Two.")), respond(Says("Three."))) as server:
        told = place.events(place.run(server, "exec", "--json", "first task").stdout)
        thread = told[0]["thread_id"]
        here = place.run(server, "exec", "resume", thread[:13], "second task", cwd=other)
        assert (here.returncode, here.stdout) == (0, "Two.\n")
        again = place.events(place.run(server, "exec", "resume", "--json", "--last", "third task").stdout)
        assert (again[0]["thread_id"], again[0]["resumed"]) == (thread, True)
        assert again[-1]["usage"]["input_tokens"] == 300
        assert server.requests[-1]["prompt_cache_key"] == server.requests[0]["prompt_cache_key"]
    nothing = place.run(None, "exec", "resume", "--last", "go", cwd=other)
    assert nothing.returncode == 1
    assert "no session of the folder" in nothing.stderr
    wrong = place.run(None, "exec", "resume", "ffffffff", "go")
    assert wrong.returncode == 1
    assert "no session `ffffffff`" in wrong.stderr
    listed = subprocess.run(
        [sys.executable, "-I", "-m", "agent", "sessions", "list"],
        env=place.environ(),
        capture_output=True,
        text=True,
    )
    assert listed.stdout.startswith(thread)
    assert listed.stdout.rstrip().endswith("first task")


def test_one_writer_a_session(place: Place) -> None:
    with model(respond(command("sleep 41.5"))) as server:
        first = place.start(server, "exec", "--json", "go")
        try:
            assert first.stdout is not None
            thread = json.loads(first.stdout.readline())["thread_id"]
            second = place.run(server, "exec", "resume", thread, "me too")
        finally:
            first.terminate()
            first.communicate(timeout=20)
    assert second.returncode == 1
    assert f"session `{thread}` is open in another process (process {first.pid})" in second.stderr


def test_an_open_pipe_does_not_hang_it(place: Place) -> None:
    with model(respond(Says("Done."))) as server:
        child = place.start(server, "exec", "go", stdin=subprocess.PIPE)
        status = child.wait(timeout=30)
        assert child.stdin is not None
        child.stdin.close()
        assert child.stdout is not None
        assert child.stderr is not None
        assert (status, child.stdout.read()) == (0, "Done.\n")
        assert "open but silent" in child.stderr.read()
        child.stdout.close()
        child.stderr.close()
        (said,) = [item for item in _messages(server) if item["role"] == "user" and _text(item) == "go"]
        assert said


def test_a_reader_that_goes_away_ends_it_without_noise(place: Place) -> None:
    steps: list[Respond] = [respond(Says(f"{n}"), command("echo x")) for n in range(50)]
    with model(*steps) as server:
        child = place.start(server, "exec", "--json", "go")
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.wait(timeout=30) == 1
        assert "Traceback" not in child.stderr.read()
        child.stderr.close()
        assert len(server.requests) < 50


@pytest.mark.parametrize(
    ("typed", "made", "says"),
    [
        pytest.param("y\n", True, "answered: yes", id="yes"),
        pytest.param("n not that one\n", False, "answered: no: not that one", id="no"),
        pytest.param("", False, "the input ended, so this is refused", id="end-of-input"),
    ],
)
def test_the_interactive_command_takes_answers_from_a_pipe(
    place: Place, typed: str, made: bool, says: str
) -> None:
    with model(respond(command("touch new")), respond(Says("Done."))) as server:
        done = place.run(server, "make it", stdin=typed)
    assert done.returncode == 0, done.stderr
    assert (place.project / "new").exists() is made
    for want in ("│ $ touch new", "it makes files", "a.rules:3", says, "Done.", "done · ", "record: "):
        assert want in done.stdout, want


def test_no_terminal_and_no_task_is_told(place: Place) -> None:
    with model() as server:
        done = place.run(server, stdin="")
    assert done.returncode == 2
    assert done.stderr == "error: no task\nhelp: give one: `agent PROMPT`, or one a line on standard input\n"


def test_tasks_come_one_a_line_without_a_terminal(place: Place) -> None:
    with model(respond(Says("One.")), respond(command("touch new")), respond(Says("Two."))) as server:
        done = place.run(server, stdin="first\nsecond\ny\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("done · ") == 2
    assert (place.project / "new").exists()


def test_without_a_policy_file_that_loads_nothing_runs(place: Place) -> None:
    (place.root / "a.rules").write_text('prefix_rule(pattern = ["ls"], decision = "alow")\nnot a rule\n')
    with model(respond(Says("Done."))) as server:
        done = place.run(server, "exec", "go")
        assert server.requests == []
    assert (done.returncode, done.stdout) == (1, "")
    assert "a.rules:1:" in done.stderr
    assert "a.rules:2:" in done.stderr


def _messages(server: ScriptedServer) -> list[dict[str, Any]]:
    history = server.requests[0]["input"]
    assert isinstance(history, list)
    return [item for item in history if isinstance(item, dict) and item.get("type") == "message"]


def _text(item: dict[str, Any]) -> str:
    return "".join(part["text"] for part in item["content"])
