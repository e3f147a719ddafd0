"""Every option of Codex's `exec`: taken with the same meaning, or refused with a word that helps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.cli.options import Shared, Wanted, expanded
from agent.llm.scripted import Says, ScriptedServer, replay, respond


@dataclass(frozen=True)
class Ran:
    status: int
    events: list[dict[str, Any]]
    err: str
    requests: list[Any]


@dataclass
class Place:
    root: Path

    def run(self, *words: str, answers: int = 1, **environ: str) -> Ran:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OPENAI", "AGENT", "CODEX"))
        }
        with ScriptedServer(replay([respond(Says("Done."))] * answers)) as server:
            done = subprocess.run(
                [sys.executable, "-I", "-m", "agent", *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                cwd=self.root,
                env=clean
                | {"AGENT_HOME": str(self.root / "home"), "OPENAI_BASE_URL": server.base_url, "NO_COLOR": "1"}
                | environ,
            )
            requests = list(server.requests)
        assert "Traceback" not in done.stdout + done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return Ran(done.returncode, events, done.stderr, requests)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("words", "sandbox"),
    [
        ("--full-auto", "workspace-write"),
        ("--full-auto --sandbox workspace-write", "workspace-write"),
        ("--dangerously-bypass-approvals-and-sandbox", "full-access"),
        ("--yolo", "full-access"),
        ("--yolo -s danger-full-access -a never", "full-access"),
        ("-s read-only", "read-only"),
        ("-c sandbox_mode=read-only", "read-only"),
        ("-a never", "workspace-write"),
        ("--ask-for-approval on-request", "workspace-write"),
        ("--color never --progress-cursor --strict-config", "workspace-write"),
        ("--color=always --dangerously-bypass-hook-trust", "workspace-write"),
        ("--skip-git-repo-check --ephemeral --no-alt-screen", "workspace-write"),
    ],
)
@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
def test_it_is_taken(place: Place, words: str, sandbox: str, before: bool) -> None:
    line = [*words.split(), "exec", "--json", "go"] if before else ["exec", "--json", "go", *words.split()]
    ran = place.run(*line)
    assert (ran.status, ran.events[0]["sandbox"]) == (0, sandbox), ran.err
    assert ran.events[-1]["type"] == "turn.completed"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--full-auto -s read-only", "do not go together"),
        ("--yolo -s workspace-write", "do not go together"),
        ("--yolo -a on-request", "do not go together"),
        ("--color purple", "`purple` is not one of"),
        ("-a sometimes", "`sometimes` is not one of"),
        ("--local-provider nobody", "`nobody` is not one of"),
        ("--approve-for-me", "allow it by a rule"),
        ("--ignore-rules", "rules are never set aside"),
        ("--enable web", "`-c KEY=VALUE`"),
        ("--disable web", "`-c KEY=VALUE`"),
        ("--last", "`agent exec resume --last`"),
    ],
)
def test_it_is_refused_with_a_word_that_helps(place: Place, words: str, says: str) -> None:
    ran = place.run("exec", "go", *words.split())
    assert (ran.status, ran.requests) == (2, [])
    assert says in ran.err


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("tools.web_search=true", 'web_search = "live"'),
        ("features.web_search_request=true", "settings of their own"),
        ("features.multi_agent=false", "settings of their own"),
        ("model_instructions_file=x", "AGENTS.md"),
        ('shell_environment_policy.inherit="all"', "no secrets"),
        ("history.persistence=none", "--ephemeral"),
    ],
)
def test_a_key_of_codex_that_is_none_here_has_a_word_that_helps(
    place: Place, setting: str, says: str
) -> None:
    ran = place.run("exec", "go", "-c", setting)
    assert (ran.status, ran.requests) == (1, [])
    assert says in ran.err


# Command lines of published wrappers, CI steps and orchestrators; {id} is a stored session, {dir} the folder.
LINES = (
    "exec resume {id} --json --full-auto --skip-git-repo-check --cd {dir} --model m --sandbox workspace-write -- go",
    "exec --json --skip-git-repo-check resume {id} -m m go",
    "exec resume --json --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox --model m --config"
    " model_reasoning_effort=high {id} go",
    "exec --json --sandbox read-only --skip-git-repo-check --ephemeral -c approval_policy=never -C {dir} -m m go",
    "exec --skip-git-repo-check --cd {dir} --output-last-message {dir}/out --model m --sandbox read-only go",
    "exec --json resume --last go",
    "exec --json go resume --last",
    "exec go --json resume {id}",
    "exec --skip-git-repo-check go resume --last -m m --json",
    "exec --full-auto --cd {dir} go --json",
    "exec --json --ephemeral -C {dir} --skip-git-repo-check --ignore-user-config --sandbox read-only --model m -c"
    " model_reasoning_effort=high -c model_context_window=32768 --output-last-message {dir}/out go",
    "--search exec --json go",
    "e --json -- go",
)


@pytest.mark.parametrize("line", LINES)
def test_command_lines_of_others(place: Place, line: str) -> None:
    begun = place.run("exec", "--json", "one").events[0]["thread_id"] if "resume" in line else ""
    ran = place.run(*line.format(id=begun, dir=place.root).split())
    assert ran.status == 0, ran.err
    assert ran.requests[0]["input"][-1]["content"][0]["text"] == "go"
    assert ran.requests[0]["model"] == ("m" if " m " in line else "gpt-5.5")
    if "out" in line:
        assert (place.root / "out").read_text() == "Done."


def test_a_search_is_offered(place: Place) -> None:
    (request,) = place.run("exec", "--search", "go").requests
    assert {"type": "web_search", "external_web_access": True} in request["tools"]


def test_your_own_settings_can_be_left_out(place: Place) -> None:
    (place.root / "home").mkdir(mode=0o700)
    (place.root / "home" / "config.toml").write_text('model = "mine"\n')
    assert place.run("exec", "go").requests[0]["model"] == "mine"
    assert place.run("exec", "--ignore-user-config", "go").requests[0]["model"] != "mine"


def test_a_model_of_this_machine(place: Place) -> None:
    with ScriptedServer(replay([respond(Says("Here."))])) as server:
        ran = place.run("exec", "--oss", "go", "--base-url", server.base_url, OPENAI_API_KEY="sk-theirs-1")
        (request,) = server.requests
        (headers,) = server.headers
    assert (ran.status, request["model"]) == (0, "gpt-oss:20b")
    assert "sk-theirs-1" not in str(headers)
    shown = place.run("config", "show", "--origin", "-c", "model_provider=lmstudio")
    assert shown.status == 0


def test_the_last_session_of_any_folder(place: Place) -> None:
    begun = place.run("exec", "--json", "one").events[0]["thread_id"]
    (place.root / "other").mkdir()
    here = ("-C", str(place.root / "other"))
    missing = place.run("exec", "resume", "--last", "two", *here)
    assert (missing.status, missing.requests) == (1, [])
    ran = place.run("exec", "resume", "--last", "--all", "--json", "two", *here)
    assert (ran.status, ran.events[0]["thread_id"]) == (0, begun)
    assert place.run("exec", "resume", "--all", begun, "two").status == 2


def test_pictures_with_commas_between_them(place: Place) -> None:
    heads = {"a.gif": b"GIF89a", "b.gif": b"GIF87a", "c,d.gif": b"GIF89a"}
    for name, head in heads.items():
        (place.root / name).write_bytes(head + b"\0" * 10)
    (request,) = place.run("exec", "go", "-i", "a.gif,b.gif", "-i", "c,d.gif").requests
    kinds = [part["type"] for part in request["input"][-1]["content"]]
    assert kinds == ["input_text", "input_image", "input_image", "input_image"]


def test_a_review_of_what_has_no_commit_yet(place: Place) -> None:
    ran = place.run("exec", "review", "--uncommitted")
    assert (ran.status, "no git repository" in ran.err) == (2, True)
    subprocess.run(["git", "init", "-q", str(place.root)], check=True)
    (request,) = place.run("exec", "review", "--title", "All of it").requests
    text = request["input"][-1]["content"][0]["text"]
    assert "first commit" in text
    assert "All of it" in text
    assert place.run("review", "--yolo").status == 2


def test_groups_of_options_stand_for_their_fields() -> None:
    seen: list[tuple[Shared, Wanted, int]] = []

    def command(shared: Shared, wanted: Wanted, number: int = 3) -> None:
        seen.append((shared, wanted, number))

    groups = (Shared(), Wanted(json=True))
    given = {name: getattr(group, name) for group in groups for name in group.__dataclass_fields__}
    expanded(command)(**given, number=4)
    assert seen == [(*groups, 4)]
