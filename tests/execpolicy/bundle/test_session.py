"""Programs on `PATH` below a temporary folder: guarded, and for that reason still the programs that rules name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from execpolicy.bundle.session import Session, context_in, program_places
from execpolicy.decision import Decision, Layer, SandboxMode
from execpolicy.engine.check import check
from execpolicy.engine.policy import Policy
from execpolicy.lang.lower import parse_rules
from execpolicy.values import replace

RULES = 'prefix_rule(pattern=["tool", "run"], decision="allow")\nprefix_rule(pattern=["echo"], decision="allow")\n'


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name).resolve()


def program(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "tool").write_text("#!/bin/sh\n")
    (folder / "tool").chmod(0o755)
    return folder


def session(place: Path) -> Session:
    work = place / "work"
    work.mkdir(exist_ok=True)
    return Session(folder=str(work), workspace=str(work), agent_home=str(place / "home"))


def test_a_virtual_environment_is_guarded_whole(place: Path) -> None:
    folder = program(place / "env" / "bin")
    (place / "env" / "pyvenv.cfg").touch()
    assert program_places(session(place), {"PATH": f"{folder}:/usr/bin"}) == (str(place / "env"),)


def test_a_plain_folder_is_guarded_alone(place: Path) -> None:
    folder = program(place / "opt" / "bin")
    assert program_places(session(place), {"PATH": f"{folder}"}) == (str(folder),)


@pytest.mark.parametrize("name", ["", ".", "bin", "/usr/bin", "/tmp", "/nowhere"])
def test_what_is_not_guarded(place: Path, name: str) -> None:
    assert program_places(session(place), {"PATH": name}) == ()


def test_neither_the_workspace_nor_what_holds_it_is_guarded(place: Path) -> None:
    inner = program(place / "work" / ".venv" / "bin")
    (place / "pyvenv.cfg").touch()
    outer = program(place / "bin")
    assert program_places(session(place), {"PATH": f"{inner}:{place}"}) == ()
    assert program_places(session(place), {"PATH": str(outer)}) == ()


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        pytest.param("env/bin", Decision.ALLOW, id="beside-the-workspace"),
        pytest.param("work/bin", Decision.ASK, id="in-the-workspace"),
    ],
)
def test_the_program_a_rule_means(
    place: Path, monkeypatch: pytest.MonkeyPatch, where: str, wanted: Decision
) -> None:
    here = session(place)
    folder = program(place / where)
    monkeypatch.setenv("PATH", f"{folder}:{os.defpath}")
    policy = Policy.build([(Layer.SESSION, parse_rules(RULES, "a.rules", Layer.SESSION).file)])
    context = context_in(here, here.folder, os.environ)
    assert check("tool run", policy, context).decision is wanted
    unheld = replace(context, sandbox=SandboxMode.FULL_ACCESS)
    assert check("tool run", policy, unheld).decision is Decision.ASK
    if wanted is Decision.ALLOW:
        assert check(f"echo x > {folder}/tool", policy, context).decision is Decision.DENY


@pytest.mark.parametrize(
    ("system", "own", "named", "writable"),
    [
        pytest.param(False, False, "own", ("/tmp", "/var/tmp", "own"), id="all"),
        pytest.param(True, False, "own", ("own",), id="own-alone"),
        pytest.param(False, True, "own", ("/tmp", "/var/tmp"), id="system-alone"),
        pytest.param(True, True, "own", (), id="none"),
        pytest.param(True, False, "/tmp", (), id="own-is-the-system-s"),
        pytest.param(False, True, "/tmp", ("/tmp", "/var/tmp"), id="the-system-s-stays"),
    ],
)
def test_temporary_folders_that_are_left_out(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    system: bool,
    own: bool,
    named: str,
    writable: tuple[str, ...],
) -> None:
    folder = place / "own"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder) if named == "own" else named)
    here = replace(session(place), exclude_slash_tmp=system, exclude_tmpdir=own)
    seen = context_in(here, here.folder, os.environ).writable
    wanted = (os.path.realpath(folder if path == "own" else path) for path in writable)
    assert seen == tuple(dict.fromkeys(wanted))
