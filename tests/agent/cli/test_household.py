"""Commands around the agent: stored sessions, settings, keys, diffs, reviews."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.llm.scripted import Calls, CallsCustom, Says, ScriptedServer, Step, replay, respond

CANARY = "sk-canary-login-77f1"


class Place:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.project = root / "project"
        self.project.mkdir()

    def run(
        self,
        *words: str,
        stdin: str | None = None,
        server: ScriptedServer | None = None,
        status: int = 0,
        **env: str,
    ) -> subprocess.CompletedProcess[str]:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OPENAI", "AGENT", "CODEX"))
        }
        clean |= {
            "AGENT_HOME": str(self.home),
            "NO_COLOR": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }
        url = ["--base-url", server.base_url] if server else []
        done = subprocess.run(
            [sys.executable, "-m", "agent", *words, *url],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.project,
            env=clean | env,
        )
        assert "Traceback" not in done.stdout + done.stderr
        assert done.returncode == status, done.stderr
        return done

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
            cwd=self.project,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@contextmanager
def model(*steps: Step) -> Iterator[ScriptedServer]:
    with ScriptedServer(replay(steps)) as server:
        yield server


def test_the_life_of_a_session(place: Place) -> None:
    place.run("sessions", "search", "apple", status=1)
    place.run("sessions", "name", "x", "y", status=1)
    with model(respond(Says("An apple.")), respond(Says("A pear."))) as server:
        out = place.run("exec", "--json", "what is red", server=server).stdout
        thread = json.loads(out.splitlines()[0])["thread_id"]
        place.run("sessions", "name", thread, "fruit")
        place.run("exec", "resume", "fruit", "and green", server=server)
    assert "[fruit] what is red" in place.run("sessions", "list").stdout
    found = json.loads(place.run("sessions", "search", "APPLE", "--json").stdout)
    assert found["session"]["thread_id"] == thread
    lines = place.run("sessions", "export", "fruit", "-f", "jsonl").stdout.splitlines()
    assert json.loads(lines[0])["name"] == "fruit"
    place.run("sessions", "export", "fruit", "-o", "out.md")
    assert "## Agent\n\nA pear." in (place.project / "out.md").read_text()
    assert stat.S_IMODE((place.project / "out.md").stat().st_mode) == 0o600
    place.run("sessions", "archive", "fruit")
    assert place.run("sessions", "list").stdout == "no sessions yet\n"
    assert "[fruit]" in place.run("sessions", "list", "--archived").stdout
    assert "unarchive" in place.run("exec", "resume", "fruit", "x", status=1).stderr
    place.run("sessions", "unarchive", "fruit")
    assert "say `--yes`" in place.run("sessions", "delete", "fruit", status=2).stderr
    place.run("sessions", "delete", "fruit", "--yes")
    assert "no session `fruit`" in place.run("exec", "resume", "fruit", "x", status=1).stderr


def test_settings_are_shown_with_their_places_and_without_keys(place: Place) -> None:
    place.home.mkdir(mode=0o700)
    (place.home / "config.toml").write_text('model = "m"\ncommand_timeout_ms = 1500\n')
    words = ("config", "show", "--origin", "-c", "max_steps=3")
    told = place.run(*words, OPENAI_API_KEY=CANARY).stdout
    assert f'model = "m"  # {place.home}/config.toml:1\n' in told
    assert f"command_timeout_ms = 1500  # {place.home}/config.toml:2\n" in told
    assert "max_steps = 3  # -c max_steps\n" in told
    assert 'key = "set"  # environment OPENAI_API_KEY\n' in told
    assert f'project {place.project} = "not trusted"  # default\n' in told
    assert CANARY not in told
    assert all(json.loads(line) for line in place.run("config", "show", "--json").stdout.splitlines())
    assert "did you mean" in place.run("config", "show", "-c", "modle=x", status=1).stderr


def test_a_key_that_is_kept_is_used_and_stands_nowhere_else(place: Place) -> None:
    done = place.run("login", stdin=CANARY + "\n")
    assert "warning: " in done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert str(place.home / "auth.json") in place.run("login", "--status").stdout
    (place.home / "rules").mkdir()
    (place.home / "rules" / "a.rules").write_text(
        'prefix_rule(pattern = [["env", "cat"]], decision = "allow")\n'
    )
    calls = respond(*(Calls("exec_command", {"cmd": cmd}) for cmd in ("env", f"cat {place.home}/auth.json")))
    with model(calls, respond(Says("Done."))) as server:
        done = place.run("exec", "--json", "look", server=server)
        (first, *_) = server.headers
        sent: Any = server.requests
    assert first["authorization"] == f"Bearer {CANARY}"
    assert CANARY not in done.stdout + done.stderr + json.dumps(sent)
    files = [
        file for file in place.root.rglob("*") if file.is_file() and CANARY.encode() in file.read_bytes()
    ]
    assert files == [place.home / "auth.json"]
    place.run("logout")
    assert [
        file for file in place.root.rglob("*") if file.is_file() and CANARY.encode() in file.read_bytes()
    ] == []
    assert place.run("login", "--status", status=1).stdout == "no key is kept\n"
    told = place.run("login", "status", OPENAI_API_KEY=CANARY).stdout
    assert told == "no key is kept\nOPENAI_API_KEY is set in the environment, and goes first\n"


@pytest.mark.parametrize(
    "key", ["", " \n", "two words\n", "a\x1bb\n", "one\ntwo\n", "sk-\u00e9\n", "x" * 20_000 + "\n", "a\0b\n"]
)
def test_what_is_no_key_is_not_kept(place: Place, key: str) -> None:
    assert "that is no key" in place.run("login", "--with-api-key", stdin=key, status=2).stderr
    assert not (place.home / "auth.json").exists()


def test_a_diff_is_applied_whole_or_not_at_all(place: Place) -> None:
    file = place.project / "sub" / "a.txt"
    file.parent.mkdir()
    file.write_text("one\n")
    place.git("init", "-q")
    place.git("add", ".")
    place.git("commit", "-qm", "x")
    file.write_text("one\ntwo\n")
    diff = place.git("diff")
    place.git("checkout", "-q", ".")
    assert place.run("apply", "--check", stdin=diff).stdout == "it fits\n"
    assert file.read_text() == "one\n"
    place.run("apply", "--cd", "sub", stdin=diff)
    assert file.read_text() == "one\ntwo\n"
    assert "nothing was changed" in place.run("apply", "-", stdin=diff, status=1).stderr
    place.run("apply", "-R", stdin=diff)
    assert file.read_text() == "one\n"
    place.run("apply", stdin="", status=2)


@pytest.mark.parametrize("path", ["../out", ".git/hooks/pre-commit", "link/f"])
def test_a_diff_does_not_reach_outside(place: Place, path: str) -> None:
    place.git("init", "-q")
    (place.project / "link").symlink_to(place.root)
    place.run("apply", stdin=f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n", status=1)
    assert not (place.root / "out").exists()
    assert not (place.root / "f").exists()
    assert not (place.project / ".git" / "hooks" / "pre-commit").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "what is not committed"),
        (["--base", "main"], "since it left `main`"),
        (["--commit", "HEAD"], "commit "),
    ],
)
def test_a_review_says_what_to_look_at_and_may_not_write(place: Place, words: list[str], says: str) -> None:
    place.git("init", "-q", "-b", "main")
    place.git("commit", "-q", "--allow-empty", "-m", "x")
    with model(respond(Says("Nothing to repair."))) as server:
        done = place.run("review", "--json", *words, "Mind the locks.", server=server)
        messages: Any = server.requests[0]["input"]
    text = messages[-1]["content"][0]["text"]
    assert says in text
    assert text.endswith("Mind the locks.")
    assert json.loads(done.stdout.splitlines()[0])["sandbox"] == "read-only"


def test_a_review_of_what_git_does_not_know_asks_no_model(place: Place) -> None:
    place.git("init", "-q")
    with model() as server:
        assert (
            "git knows no commit `nope`"
            in place.run("review", "--base", "nope", server=server, status=2).stderr
        )
        place.run("review", "--base", "a", "--commit", "b", server=server, status=2)
        assert server.requests == []


def test_a_worktree_keeps_the_work_apart(place: Place) -> None:
    (place.project / "sub").mkdir()
    (place.project / "sub" / "a.txt").write_text("one\n")
    place.git("init", "-q", "-b", "main")
    place.git("add", ".")
    place.git("commit", "-qm", "x")
    (place.project / ".git" / "hooks" / "post-checkout").write_text("#!/bin/sh\ntouch hooked\n")
    (place.project / ".git" / "hooks" / "post-checkout").chmod(0o755)
    patch = "*** Begin Patch\n*** Update File: a.txt\n@@\n-one\n+two\n*** End Patch\n"
    with model(respond(CallsCustom("apply_patch", patch)), respond(Says("Done."))) as server:
        done = place.run("exec", "--worktree", "--json", "-C", "sub", "go", server=server)
    (tree,) = place.root.glob("project-agent-*")
    assert f"git worktree remove {tree}" in done.stderr
    assert (tree / "sub" / "a.txt").read_text() == "two\n"
    assert (place.project / "sub" / "a.txt").read_text() == "one\n"
    assert list(place.root.rglob("hooked")) == []
    assert json.loads(done.stdout.splitlines()[0])["cwd"] == str(tree / "sub")
    with model(respond(Says("Nothing."))) as server:
        done = place.run("exec", "--worktree", "go", server=server)
    assert "the worktree was removed" in done.stderr, done.stderr
    assert list(place.root.glob("project-agent-*")) == [tree]
    assert place.git("branch", "--list", "agent/*").count("agent/") == 1


def test_a_worktree_needs_a_commit(place: Place) -> None:
    with model() as server:
        assert (
            "needs a git repository" in place.run("exec", "--worktree", "go", server=server, status=2).stderr
        )
