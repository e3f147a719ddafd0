"""The command line as a process: exit statuses, one clear line, nothing loaded that is not needed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent import __version__
from agent.cli.main import build, invoke

GOLDEN = Path(__file__).parents[2] / "golden" / "help"
HEAVY = (
    "openai",
    "opentelemetry",
    "rich",
    "prompt_toolkit",
    "lark",
    "sqlite3",
    "yaml",
    "asyncio",
    "pydantic",
)


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str


Agent = Callable[..., Ended]


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    def run(*words: str, stdin: str = "", **environ: str) -> Ended:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "AGENT"))
        }
        home = {"AGENT_HOME": str(tmp_path / "home")}
        done = subprocess.run(
            [sys.executable, "-I", "-m", "agent", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            env=clean | home | environ,
        )
        assert "Traceback" not in done.stderr + done.stdout
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


def test_the_version(agent: Agent) -> None:
    for words in (["--version"], ["-V"], ["--model", "x", "--version"]):
        assert agent(*words) == Ended(0, f"agent {__version__}\n", "")


def words_of(help: str) -> list[str]:
    """Versions of Typer differ in how they set the types of values and the columns."""
    return re.sub(r"<[a-z ]+>|[\[\]]", " ", help).split()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--help"], "agent"),
        (["-h"], "agent"),
        (["help"], "agent"),
        (["exec", "--help"], "exec"),
        (["--json", "exec", "--help"], "exec"),
        (["exec", "resume", "--help"], "exec-resume"),
        (["exec", "fork", "--help"], "exec-fork"),
        (["resume", "--help"], "resume"),
        (["fork", "--help"], "fork"),
        (["sessions", "--help"], "sessions"),
        (["sessions", "list", "--help"], "sessions-list"),
        (["sessions", "search", "--help"], "sessions-search"),
        (["sessions", "delete", "--help"], "sessions-delete"),
        (["sessions", "export", "--help"], "sessions-export"),
        (["approvals", "--help"], "approvals"),
        (["approvals", "allow", "--help"], "approvals-allow"),
        (["approvals", "list", "--help"], "approvals-list"),
        (["approvals", "show", "--help"], "approvals-show"),
        (["approvals", "revoke", "--help"], "approvals-revoke"),
        (["review", "--help"], "review"),
        (["apply", "--help"], "apply"),
        (["login", "--help"], "login"),
        (["logout", "--help"], "logout"),
        (["config", "show", "--help"], "config-show"),
        (["sandbox", "--help"], "sandbox"),
        (["doctor", "--help"], "doctor"),
        (["policy", "--help"], "policy"),
        (["audit", "--help"], "audit"),
    ],
)
def test_help_golden(agent: Agent, words: list[str], name: str) -> None:
    told = agent(*words, COLUMNS="60")
    assert (told.status, told.err) == (0, "")
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(told.out)
    assert words_of(told.out) == words_of(file.read_text())


def test_the_reference_page_shows_every_help_text() -> None:
    file = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"
    page = file.read_text()
    if os.environ.get("UPDATE_GOLDEN"):
        for golden in GOLDEN.iterdir():
            text = golden.read_text()
            usage = re.escape(text.splitlines()[0])
            page = re.sub(
                rf"```text\n{usage}\n.*?```",
                lambda _, text=text: f"```text\n{text}```",
                page,
                flags=re.DOTALL,
            )
        file.write_text(page)
    missing = [file.name for file in GOLDEN.iterdir() if f"```text\n{file.read_text()}```" not in page]
    assert missing == []


@pytest.mark.parametrize(
    ("words", "error", "help"),
    [
        (["--zzzz"], "no such option `--zzzz`", "see `agent --help`"),
        (["exec", "--jsno", "x"], "no such option `--jsno`", "did you mean `--json`?"),
        (["exec", "--policy"], "option `--policy` requires an argument", "see `agent exec --help`"),
        (["exec", "a", "b"], "unexpected words `b`", "a prompt of several words stands in quotes"),
        (["fix", "the", "test"], "unexpected words `the test`", "a prompt of several words stands in quotes"),
        (["--sandbox", "off", "x"], "invalid value for `--sandbox` / `-s`: `off` is not one of", ""),
        (["exce", "x"], "no command `exce`", "did you mean `exec`?"),
        (["sessions", "lst"], "no such command `lst`", "see `agent sessions --help`"),
        (["--model", "x", "sessions", "list"], "`--model` does not belong before `sessions`", ""),
        (["exec", "x", "--cd", "nowhere"], "`--cd nowhere` is not a folder", "name an existing folder"),
        (["exec", "x", "--base-url", "localhost"], "`base_url` must be an http or https address", ""),
        (["app-server"], "there is no command `app-server` here", "clients drive `agent exec --json`"),
        (["-c", "x=y", "mcp-server"], "there is no command `mcp-server` here", "clients drive"),
        (["proto", "--json"], "there is no command `proto` here", "clients drive"),
        (["mcp", "add", "x"], "there is no command `mcp` here", "servers are settings"),
        (["execpolicy", "check", "ls"], "there is no command `execpolicy` here", "`agent policy check`"),
        (["features", "list"], "there is no command `features` here", "features are settings"),
        (["resume", "--last", "a", "b"], "`--last` and a session id do not go together", ""),
    ],
)
def test_wrong_usage_is_one_line_and_a_hint(agent: Agent, words: list[str], error: str, help: str) -> None:
    told = agent(*words)
    assert (told.status, told.out) == (2, "")
    first, *rest = told.err.splitlines()
    assert first.startswith(f"error: {error}")
    assert len(rest) == 1
    assert rest[0].startswith(f"help: {help}")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["exec"], "no prompt provided via stdin"),
        (["exec", "-"], "no prompt provided via stdin"),
        (["exec", "x", "--policy", "no.rules"], "rule file `"),
        (["exec", "x", "-c", "modl=x"], "unknown key `modl`"),
        (["exec", "x", "-o", "no/where"], "cannot write `no/where`"),
        (["exec", "resume", "01234567"], "no session is stored yet"),
        (["resume", "--last"], "no session is stored yet"),
        (["sessions", "set-aside"], "there is no session database"),
    ],
)
def test_what_failed_is_told_with_a_remedy(agent: Agent, words: list[str], error: str) -> None:
    told = agent(*words)
    assert (told.status, told.out) == (1, "")
    lines = [line for line in told.err.splitlines() if not line.startswith("reading prompt")]
    assert lines[0].startswith(f"error: {error}")
    assert lines[1].startswith("help: ")


def test_a_state_folder_that_cannot_be_written_is_told(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = agent("exec", "x", AGENT_HOME=str(tmp_path / "file" / "home"))
    assert told.status == 1
    assert told.err.startswith("error: the state folder `")
    assert "help: set AGENT_HOME" in told.err


def test_a_broken_config_is_told_with_its_line(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text("\nmodle = 'x'\nmax_step = 1\n")
    told = agent("exec", "x")
    assert told.status == 1
    config = tmp_path / "home" / "config.toml"
    assert told.err == (
        f"error: {config}:2: unknown key `modle`\n"
        f"error: {config}:3: unknown key `max_step`\n"
        "help: did you mean `model`?\n"
    )


def test_a_database_that_is_none_is_told_and_moved_on_the_word_of_the_user(
    agent: Agent, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "sessions.db").write_bytes(b"garbage" * 1000)
    told = agent("sessions", "list")
    assert told.status == 1
    assert "cannot be used" in told.err
    assert "agent sessions set-aside" in told.err
    moved = agent("sessions", "set-aside")
    assert (moved.status, moved.err) == (0, "")
    assert agent("sessions", "list") == Ended(0, "no sessions yet\n", "")
    kept = [one for one in (tmp_path / "home").iterdir() if "aside" in one.name]
    assert [one.read_bytes() for one in kept] == [b"garbage" * 1000]


@pytest.mark.parametrize(
    ("words", "banned"),
    [
        (["--version"], (*HEAVY, "typer", "dataclasses")),
        (["--help"], HEAVY),
        (["exec", "--help"], HEAVY),
        (["exec", "--nope"], HEAVY),
        (["policy", "check", "--", "ls"], ("typer", "openai", "opentelemetry", "rich", "prompt_toolkit")),
        (["sessions", "list"], ("openai", "opentelemetry", "rich", "prompt_toolkit", "lark")),
    ],
)
def test_what_is_not_needed_is_not_loaded(tmp_path: Path, words: list[str], banned: tuple[str, ...]) -> None:
    code = (
        "import sys, os, atexit\n"
        "from agent.cli.main import main\n"
        "main(sys.argv[1:])\n"
        "sys.stdout.flush()\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=os.environ | {"AGENT_HOME": str(tmp_path)},
    )
    loaded = {name.partition(".")[0] for name in done.stderr.splitlines()}
    assert "agent" in loaded
    assert sorted(loaded & set(banned)) == []


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/bash", "-c", f"{sys.executable} -m agent exec --help | true; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("closed", "words", "status"),
    [
        ("<&-", "exec", 1),
        ("<&- >&- 2>&-", "exec", 1),
        (">&-", "--help", 0),
        ("2>&-", "exec --nope", 2),
        ("<&- 2>&-", "sessions list", 0),
    ],
)
def test_streams_may_be_closed(tmp_path: Path, closed: str, words: str, status: int) -> None:
    done = subprocess.run(
        ["/bin/bash", "-c", f"{sys.executable} -I -m agent {words} {closed}"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=os.environ | {"AGENT_HOME": str(tmp_path / "home")},
    )
    assert done.returncode == status
    assert "Traceback" not in done.stderr


def test_what_is_cut_short_is_no_interrupt(capsys: pytest.CaptureFixture[str]) -> None:
    def short() -> None:
        raise EOFError("marshal data too short")

    assert invoke(build(short), [], "agent") == 1
    told = capsys.readouterr().err
    assert "EOFError: marshal data too short (test_main.py:" in told
    assert "interrupted" not in told


def test_an_interrupt_before_anything_is_loaded_is_quiet(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == 'agent.cli.main':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from agent.__main__ import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code, "--version"], capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("words", [("exec", "--json", "go"), ("config", "show")])
def test_a_signal_that_hits_a_callback_of_the_interpreter_is_not_lost(
    tmp_path: Path, number: str, words: tuple[str, ...]
) -> None:
    code = (
        "import os, signal, sys, time, weakref\n"
        "class Thing: pass\n"
        "class Finder:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == 'typer':\n"
        "            thing = Thing()\n"
        f"            ref = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.{number}))\n"
        "            del thing\n"
        "            time.sleep(20)\n"
        "            os._exit(77)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from agent.__main__ import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "AGENT_HOME": str(tmp_path / "home")},
    )
    assert (done.returncode, done.stderr) == (1, "error: interrupted\n")
    told = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert told == (["turn.interrupted", "turn.failed"] if "--json" in words else [])


def test_an_interrupt_is_told_with_the_status_of_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert invoke(build(interrupted), [], "agent") == 1
    assert capsys.readouterr().err == "error: interrupted\n"


@pytest.mark.parametrize("words", ["--version", "--help", "sessions list", "policy check -- ls"])
@pytest.mark.parametrize("to", ["> /dev/full", "| true"])
def test_what_cannot_be_written_is_no_success_and_no_noise(tmp_path: Path, words: str, to: str) -> None:
    if to.startswith(">") and not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this machine")
    line = f"( sleep 0.2; {sys.executable} -I -m agent {words} ) {to}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["/bin/bash", "-c", line],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=os.environ | {"AGENT_HOME": str(tmp_path / "home")},
    )
    assert done.returncode == 1
    assert "Exception ignored" not in done.stderr
    assert "internal fault" not in done.stderr


@pytest.mark.parametrize("words", ["exec p", "sessions list", "doctor"])
def test_a_folder_that_is_gone_is_told(tmp_path: Path, words: str) -> None:
    line = f"mkdir gone && cd gone && rmdir ../gone && exec {sys.executable} -I -m agent {words}"
    done = subprocess.run(
        ["/bin/bash", "-c", line],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=os.environ | {"AGENT_HOME": str(tmp_path / "home")},
    )
    assert "the folder you are in is gone" in done.stderr
    assert done.returncode == 2
