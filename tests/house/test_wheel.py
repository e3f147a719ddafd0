"""The wheel holds everything, and works in a fresh environment far from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str, cwd: Path, **env: str) -> str:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "AGENT_", "VIRTUAL_ENV"))}
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env={**keep, **env}, check=False, timeout=600
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    # The build back end is installed with the tests, so the build needs no network of its own.
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT), cwd=out)
    (built,) = out.glob("*.whl")
    return built


def test_contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"agent", "compliance", "execpolicy"}
    for package in ("agent", "compliance", "execpolicy"):
        assert f"{package}/py.typed" in names
    assert "execpolicy/lang/grammar.lark" in names
    assert any(name.startswith("execpolicy/_shipped/") and name.endswith(".rules") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]


@pytest.mark.timeout(600)
def test_it_works_elsewhere(wheel: Path, tmp_path: Path) -> None:
    where = tmp_path / "env"
    venv.create(where, with_pip=True)
    python = str(where / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel), cwd=tmp_path)
    agent = str(where / "bin" / "agent")
    home = str(tmp_path / "home")
    assert "0." in run(agent, "--version", cwd=tmp_path)
    rules = tmp_path / "a.rules"
    rules.write_text('prefix_rule(pattern=["ls"], decision="allow")\n', encoding="utf-8")
    # A folder that holds an `agent` package of its own must not be taken for ours.
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "__init__.py").write_text("raise SystemExit('the wrong agent')\n", encoding="utf-8")
    out = run(
        agent, "policy", "check", "--rules", str(rules), "--script", "ls | ls", cwd=tmp_path, AGENT_HOME=home
    )
    assert "allow" in out
    owners = run(
        python,
        "-I",
        "-c",
        "from importlib.metadata import packages_distributions as p; d = p();"
        "print([d[n] for n in ('agent', 'compliance', 'execpolicy')])",
        cwd=tmp_path,
    )
    assert owners.strip() == "[['policy-agent'], ['policy-agent'], ['policy-agent']]"
