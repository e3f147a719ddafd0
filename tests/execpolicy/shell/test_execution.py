"""What bash really executes is in the facts: random scripts run with recording stubs on PATH."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from execpolicy.facts import ScriptFacts, Word
from execpolicy.shell.analyse import analyse

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")

NAMES = (
    "ls", "rm", "git", "foo", "bar-baz", "make", "x1", "touch", "curl", "file", "x", "w.txt", "d q", "s q", "a", "b",
    "sub", "e", "ab", "d", "1", "2", "3", "l", "#", "=", "%", "!", "{}", "{x", "y}", "a,b", "two", "name", "é", "$v",
)  # fmt: skip


class Recorder:
    """Runs scripts in a folder of its own and says which argvs were executed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home / "log"
        for status in (0, 1):
            programs = home / f"bin{status}"
            programs.mkdir()
            for name in NAMES:
                stub = programs / name
                stub.write_text(
                    f'#!/bin/sh\nprintf \'%s\\0\' "$#" "$0" "$@" >> \'{self.log}\'\nexit {status}\n'
                )
                stub.chmod(0o755)

    def run(self, script: str, status: int) -> list[list[str]]:
        work = self.home / "work"
        shutil.rmtree(work, ignore_errors=True)
        (work / "sub").mkdir(parents=True)
        for name in ("a", "b", "w.txt", "file"):
            (work / name).write_text("")
        self.log.write_bytes(b"")
        environment = {"PATH": str(self.home / f"bin{status}"), "HOME": str(work), "LC_ALL": "C.UTF-8"}
        process = subprocess.Popen(
            [shutil.which("bash") or "bash", "--noprofile", "--norc", "-c", script],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        fields = self.log.read_bytes().decode("utf-8", "replace").split("\0")
        found = []
        at = 0
        while at + 1 < len(fields) and fields[at].isdigit():
            count = int(fields[at])
            found.append([Path(fields[at + 1]).name, *fields[at + 2 : at + 2 + count]])
            at += 2 + count
        return found


def fits(words: Sequence[Word], argv: Sequence[str]) -> bool:
    """Whether a command with these words may have been executed as `argv`."""
    ends = {0}
    for word in words:
        after = set()
        for at in ends:
            if word.many:
                after.update(range(at, len(argv) + 1))
            elif at < len(argv) and (
                argv[at] == word.text if word.text is not None else argv[at].startswith(word.prefix)
            ):
                after.add(at + 1)
        ends = after
    return len(argv) in ends


def covered(facts: ScriptFacts) -> bool:
    return bool(facts.unknowns) or not facts.readable or any(command.unknowns for command in facts.commands)


@pytest.mark.parametrize("seed", range(4))
def test_no_executed_command_is_missing(seed: int, tmp_path: Path, make_scripts: Callable) -> None:  # type: ignore[type-arg]
    maker = make_scripts(seed, 0.15 * (seed % 2))
    recorder = Recorder(tmp_path)
    missing = []
    executed = exact = 0
    for number in range(COUNT):
        script = maker.script()
        facts = analyse(script)
        for argv in recorder.run(script, number % 2):
            executed += 1
            if any(fits(command.argv, argv) for command in facts.commands):
                exact += 1
            elif not covered(facts):
                missing.append((script, argv))
    assert not missing[:3]
    assert executed > COUNT
    assert exact > executed * 0.9


COUNT = 60
