"""What clients of Codex rely on: pictures, schemas, forks, providers, and what is refused in time."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.llm.scripted import Says, ScriptedServer, Step, replay, respond
from agent.protocol.items import JsonObject

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


class Place:
    def __init__(self, root: Path) -> None:
        self.root = root

    def run(
        self, server: ScriptedServer | None, *words: str, config: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OPENAI", "AGENT", "CODEX"))
        }
        home = self.root / "home"
        if config:
            home.mkdir(mode=0o700, exist_ok=True)
            (home / "config.toml").write_text(config)
        url = ["--base-url", server.base_url] if server else []
        done = subprocess.run(
            [sys.executable, "-I", "-m", "agent", *words, *url],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.root,
            env=clean | {"AGENT_HOME": str(home), "NO_COLOR": "1"} | environ,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def write(self, name: str, content: bytes | JsonObject) -> str:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        (self.root / name).write_bytes(raw)
        return name


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@contextmanager
def model(*steps: Step) -> Iterator[ScriptedServer]:
    with ScriptedServer(replay(steps)) as server:
        yield server


def told(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def user_parts(request: JsonObject) -> list[Any]:
    messages: Any = request["input"]
    last = [item for item in messages if item.get("role") == "user"][-1]
    return list(last["content"])


def test_pictures_go_with_the_task(place: Place) -> None:
    name = place.write("a.png", PIXEL)
    with model(respond(Says("A pixel."))) as server:
        done = place.run(server, "exec", "-i", name, "what is it")
        assert done.returncode == 0
        text, picture = user_parts(server.requests[0])
    assert text["text"] == "what is it"
    assert picture["image_url"] == "data:image/png;base64," + base64.b64encode(PIXEL).decode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no picture", "is no PNG"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * (11 << 20), "larger than"),
        (None, "cannot read"),
    ],
)
def test_what_is_no_picture_is_told_before_anything_runs(
    place: Place, content: bytes | None, says: str
) -> None:
    name = place.write("a.png", content) if content else "none.png"
    with model() as server:
        done = place.run(server, "exec", "-i", name, "what is it")
        assert server.requests == []
    assert done.returncode == 2
    assert says in done.stderr


def test_the_schema_goes_with_each_request_and_a_fitting_answer_is_done(place: Place) -> None:
    name = place.write("s.json", SCHEMA)
    with model(respond(Says('{"n": 1}'))) as server:
        done = place.run(server, "exec", "--output-schema", name, "count")
        sent = [request["text"] for request in server.requests]
    assert (done.returncode, done.stdout) == (0, '{"n": 1}\n')
    form = {"type": "json_schema", "strict": True, "name": "codex_output_schema", "schema": SCHEMA}
    assert sent == [{"format": form}]


def test_an_answer_that_does_not_fit_is_asked_for_once_more(place: Place) -> None:
    name = place.write("s.json", SCHEMA)
    with model(respond(Says("one")), respond(Says('{"n": 1}'))) as server:
        done = place.run(server, "exec", "--json", "--output-schema", name, "count", "-o", "last")
        again = user_parts(server.requests[1])[0]["text"]
        assert server.requests[1]["text"] == server.requests[0]["text"]
    assert "it is not JSON" in again
    events = told(done)
    kinds = [event["type"] for event in events]
    assert (done.returncode, kinds.count("turn.started"), kinds.count("turn.completed")) == (0, 1, 1)
    assert [event["errors"] for event in events if event["type"] == "output.misfit"]
    assert events[-1]["usage"]["output_tokens"] == 40
    assert (place.root / "last").read_text() == '{"n": 1}'


def test_an_answer_that_does_not_fit_twice_is_a_failure(place: Place) -> None:
    name = place.write("s.json", SCHEMA)
    with model(respond(Says("{}")), respond(Says('{"n": "1"}'))) as server:
        done = place.run(server, "exec", "--json", "--output-schema", name, "count", "-o", "last")
    assert done.returncode == 1
    end = told(done)[-1]
    assert end["type"] == "turn.failed"
    assert "$.n: '1' is not of type 'integer'" in end["error"]["message"]
    assert (place.root / "last").read_text() == ""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "is not JSON"),
        (b"[]", "holds no JSON object"),
        ({"type": "objekt"}, "is no JSON Schema"),
        (None, "cannot read"),
    ],
)
def test_a_schema_that_is_none_is_told_before_anything_runs(
    place: Place, content: bytes | JsonObject | None, says: str
) -> None:
    name = "none.json" if content is None else place.write("s.json", content)
    with model() as server:
        done = place.run(server, "exec", "--output-schema", name, "count")
        assert server.requests == []
    assert done.returncode == 1
    assert says in done.stderr


def test_a_fork_goes_on_and_leaves_the_first_as_it_was(place: Place) -> None:
    with model(*(respond(Says(f"answer {n}")) for n in range(4))) as server:
        first = told(place.run(server, "exec", "--json", "one"))[0]["thread_id"]
        fork = told(place.run(server, "exec", "--json", "fork", first, "two"))[0]["thread_id"]
        place.run(server, "exec", "resume", first, "three")
        place.run(server, "exec", "resume", fork, "four")
        asked = [
            [item["content"][0]["text"] for item in request["input"] if item.get("role") == "user"]
            for request in server.requests
        ]
        keys = [request["prompt_cache_key"] for request in server.requests]
    assert [texts[-2:] for texts in asked][1:] == [["one", "two"], ["one", "three"], ["two", "four"]]
    assert keys == [first, fork, first, fork]


def test_settings_of_clients_reach_the_request(place: Place) -> None:
    words = ["-c", 'model_reasoning_effort="high"', "-c", 'web_search="cached"', "-c", "model_verbosity=low"]
    words += ["-c", 'approval_policy="never"', "--thread-source", "sdk", "--skip-git-repo-check"]
    with model(respond(Says("Done."))) as server:
        assert place.run(server, "exec", *words, "go").returncode == 0
        request: Any = server.requests[0]
    assert request["reasoning"] == {"effort": "high"}
    assert request["text"] == {"verbosity": "low"}
    assert {"type": "web_search", "external_web_access": False} in request["tools"]


def test_a_provider_gets_its_own_key_and_headers_and_no_other(place: Place) -> None:
    with model(respond(Says("Done."))) as server:
        config = (
            f'model_provider = "mine"\n[model_providers.mine]\nbase_url = "{server.base_url}"\n'
            'env_http_headers = { x-secret = "MINE" }\nhttp_headers = { x-plain = "1" }\n'
        )
        done = place.run(None, "exec", "go", config=config, OPENAI_API_KEY="sk-openai", MINE="canary-7")
        assert done.returncode == 0, done.stderr
        (headers,) = server.headers
    assert headers["x-secret"] == "canary-7"
    assert headers["x-plain"] == "1"
    assert "sk-openai" not in str(headers)
    assert not [f for f in (place.root / "home").rglob("*") if f.is_file() and b"canary-7" in f.read_bytes()]


def test_fail_on_is_a_setting_too(place: Place) -> None:
    from agent.llm.scripted import Calls

    call = respond(Calls("exec_command", {"cmd": "rm -rf x"}))
    with model(call, respond(Says("Done."))) as server:
        done = place.run(server, "exec", "go", config='fail_on = "ask"\n')
    assert done.returncode == 1
    assert "--fail-on ask" in done.stderr
