"""The sandbox of Windows as far as it can be seen from here: words, layouts, and the calls in their order."""

from __future__ import annotations

import ctypes
import json
import ntpath
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import SandboxUnavailable
from agent.sandbox import winlaunch
from agent.sandbox.base import Launch
from agent.sandbox.select import select, weaknesses
from agent.sandbox.spec import Limits, SandboxSpec
from agent.sandbox.windows import RestrictedToken, plan, quoted
from execpolicy.decision import SandboxMode

WS = "C:\\Users\\me\\project"
SPEC = SandboxSpec(
    mode=SandboxMode.WORKSPACE_WRITE,
    workspace=WS,
    protected=(f"{WS}\\.agent", "C:\\Users\\me\\.agent\\rules"),
    hidden=("C:\\Users\\me\\.agent",),
    limits=Limits(processes=64, tree_memory_bytes=1 << 30, cpu_seconds=5),
)
LAUNCH = Launch(argv=("cmd.exe", "/c", "echo hi"), cwd=WS, env={"TEMP": "C:\\T", "Path": "C:\\Windows"})


@pytest.mark.parametrize(
    ("words", "line"),
    [
        # The examples of Microsoft's "Parsing C command-line arguments", written backwards.
        (("a", "b c", "d"), 'a "b c" d'),
        (("a", 'ab"c', "\\", "d"), 'a "ab\\"c" \\ d'),
        (("a", "a\\\\\\b", "de fg", "h"), 'a a\\\\\\b "de fg" h'),
        (("a", 'a\\"b', "c", "d"), 'a "a\\\\\\"b" c d'),
        (("a", "a\\\\b c", "d", "e"), 'a "a\\\\b c" d e'),
        (("a", ""), 'a ""'),
        (("a", "ends in\\"), 'a "ends in\\\\"'),
        (("a", "tab\there"), 'a "tab\there"'),
    ],
)
def test_quoting(words: tuple[str, ...], line: str) -> None:
    assert quoted(words) == line
    assert split(line) == list(words)


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12), min_size=1, max_size=5
    )
)
def test_a_line_is_read_as_the_words_it_was_made_of(words: list[str]) -> None:
    words = ["program", *words]
    assert split(quoted(tuple(words))) == words


@pytest.mark.parametrize("words", [("a", "b\0c"), ("a", "x" * 40_000)])
def test_what_no_line_can_hold(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="command"):
        quoted(words)


def split(line: str) -> list[str]:
    """As the run-time of Microsoft's C reads a command line, behind the program's name."""
    words: list[str] = []
    place, size = 0, len(line)
    while place < size:
        while place < size and line[place] in " \t\n\v":
            place += 1
        if place == size:
            break
        word, inside = "", False
        while place < size and (inside or line[place] not in " \t\n\v"):
            slashes = 0
            while place < size and line[place] == "\\":
                slashes, place = slashes + 1, place + 1
            if place < size and line[place] == '"':
                word += "\\" * (slashes // 2)
                if slashes % 2:
                    word += '"'
                else:
                    inside = not inside
                place += 1
            else:
                word += "\\" * slashes
                if slashes == 0:
                    word += line[place]
                    place += 1
        words.append(word)
    return words


@pytest.mark.parametrize(
    ("kind", "size", "offsets"),
    [
        # sizes and places of 64 bit Windows, from its headers
        (
            winlaunch.StartupInfo,
            104,
            {"desktop": 16, "flags": 60, "reserved2": 72, "stdin": 80, "stderr": 96},
        ),
        (winlaunch.StartupInfoEx, 112, {"attributes": 104}),
        (winlaunch.ProcessInformation, 24, {"thread": 8, "process_id": 16, "thread_id": 20}),
        (
            winlaunch.BasicLimits,
            64,
            {"flags": 16, "least_set": 24, "processes": 40, "affinity": 48, "priority": 56},
        ),
        (winlaunch.ExtendedLimits, 144, {"io": 64, "process_memory": 112, "job_memory": 120}),
        (winlaunch.SidAndAttributes, 16, {"attributes": 8}),
    ],
)
def test_layouts(kind: type[ctypes.Structure], size: int, offsets: dict[str, int]) -> None:
    assert ctypes.sizeof(kind) == size
    assert {name: getattr(kind, name).offset for name in offsets} == offsets


def test_the_plan() -> None:
    told = plan(LAUNCH, SPEC, secrets=("C:\\Users\\me\\.ssh",))
    assert told == {
        "line": 'cmd.exe /c "echo hi"',
        "cwd": WS,
        "env": LAUNCH.env,
        "writable": [WS, "C:\\T"],
        "protected": [f"{WS}\\.git", f"{WS}\\.agent"],
        "hidden": ["C:\\Users\\me\\.agent", "C:\\Users\\me\\.ssh"],
        "limits": {"processes": 64, "memory": 1 << 30, "cpu": 5},
        "network": False,
    }
    read_only = SandboxSpec(mode=SandboxMode.READ_ONLY, workspace=WS)
    assert plan(LAUNCH, read_only)["writable"] == []


def test_wrap_starts_the_launcher_with_the_plan() -> None:
    words = RestrictedToken("C:\\Python\\python.exe", "C:\\Users\\me").wrap(LAUNCH, SPEC).argv
    assert words[:3] == ("C:\\Python\\python.exe", "-I", "-S")
    assert Path(words[3]).name == "winlaunch.py"
    assert json.loads(words[4]) == plan(LAUNCH, SPEC)


class Library:
    """Windows, as far as the launcher asks: every call is noted, and `failing` fails."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.handles = iter(range(100, 1000))

    def __call__(self, _name: str) -> Library:
        return self

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> int:
            self.calls.append((name, args))
            if name == "InitializeProcThreadAttributeList" and args[0] is None:
                args[3]._obj.value = 48
                return 0
            if name == self.failing:
                return (
                    0xFFFFFFFF
                    if name in ("ResumeThread", "WaitForSingleObject")
                    else 5
                    if "NamedSecurity" in name
                    else 0
                )
            match name:
                case "CreateProcessAsUserW":
                    args[10]._obj.process, args[10]._obj.thread = 41, 42
                case "GetExitCodeProcess":
                    args[1]._obj.value = 7
                case "SetNamedSecurityInfoW" | "WaitForSingleObject":
                    return 0
                case "GetStdHandle":
                    return {2**32 - 10: 3, 2**32 - 11: 4, 2**32 - 12: 4}[args[0]]
                case "CreateJobObjectW" | "GetCurrentProcess":
                    return next(self.handles)
            return 1

        call.restype = call.argtypes = None  # type: ignore[attr-defined]
        return call

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def told(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "ws").mkdir()
    (tmp_path / "key").touch()
    return {
        "line": "cmd /c x", "cwd": "C:\\", "env": {"b": "2", "A": "1"}, "writable": [f"{tmp_path}/ws"],
        "protected": [f"{tmp_path}/ws/.agent"], "hidden": [f"{tmp_path}/key", f"{tmp_path}/none"],
        "limits": {"processes": 3, "memory": 4096, "cpu": 2},
    }  # fmt: skip


def test_labels_then_token_then_job_then_child(tmp_path: Path) -> None:
    library = Library()
    assert winlaunch.run(winlaunch.Api(library, lambda: 0), told(tmp_path)) == 7
    labelled = [(args[0]) for name, args in library.calls if name == "SetNamedSecurityInfoW"]
    assert labelled == [f"{tmp_path}/ws", f"{tmp_path}/ws/.agent", f"{tmp_path}/key"]
    words = [args[0] for name, args in library.calls if name.startswith("ConvertStringSecurity")]
    assert words == ["S:(ML;OICI;NW;;;LW)", "S:(ML;OICI;NW;;;ME)", "S:(ML;OICI;NRNWNX;;;ME)"]
    names = library.names()
    order = ["CreateRestrictedToken", "SetTokenInformation", "CreateJobObjectW", "CreateProcessAsUserW",
             "AssignProcessToJobObject", "ResumeThread", "WaitForSingleObject", "GetExitCodeProcess"]  # fmt: skip
    assert [name for name in names if name in order] == order
    created = next(args for name, args in library.calls if name == "CreateProcessAsUserW")
    assert created[6] & 0x4, "suspended until it is in the job"
    assert created[7].raw.decode("utf-16-le") == "A=1\0b=2\0\0"
    listed = next(args for name, args in library.calls if name == "UpdateProcThreadAttribute")
    assert (listed[2], list(listed[3])) == (0x20002, [3, 4]), "its streams, each once, and nothing else"
    assert not (tmp_path / "ws/.agent").exists(), "what was made to be protected is gone while empty"


@pytest.mark.parametrize(
    "failing",
    ["CreateRestrictedToken", "SetTokenInformation", "SetInformationJobObject", "CreateProcessAsUserW",
     "SetNamedSecurityInfoW", "UpdateProcThreadAttribute", "AssignProcessToJobObject", "ResumeThread"],
)  # fmt: skip
def test_what_fails_runs_nothing(tmp_path: Path, failing: str) -> None:
    library = Library(failing)
    with pytest.raises(OSError, match=failing):
        winlaunch.run(winlaunch.Api(library, lambda: 5), told(tmp_path))
    names = library.names()
    if "CreateProcessAsUserW" in names and failing != "CreateProcessAsUserW":
        assert "TerminateProcess" in names, "what was made and not confined is ended before it ran"
    assert "WaitForSingleObject" not in names


def test_limits_of_the_job() -> None:
    found = winlaunch.job_limits({"processes": 3, "memory": 4096, "cpu": 2})
    assert found.basic.flags == 0x2000 | 0x400 | 0x8 | 0x200 | 0x2
    assert (found.basic.processes, found.job_memory, found.basic.process_time) == (3, 4096, 20_000_000)
    assert winlaunch.job_limits({}).basic.flags == 0x2400


def test_elsewhere_it_refuses() -> None:
    if sys.platform == "win32":
        pytest.skip("this is Windows")
    done = subprocess.run(
        [sys.executable, "-I", "-S", winlaunch.__file__, "{}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (125, "the sandbox could not be built: this is not Windows\n")


def test_only_its_name_chooses_it() -> None:
    with pytest.raises(SandboxUnavailable) as caught:
        select(SandboxMode.WORKSPACE_WRITE, platform="win32")
    assert "restricted-token" in caught.value.help
    found = select(SandboxMode.WORKSPACE_WRITE, platform="win32", fallback="restricted-token")
    assert found.name == "restricted-token"
    assert any("network" in line for line in weaknesses(found))
    assert ntpath.isabs(WS)
