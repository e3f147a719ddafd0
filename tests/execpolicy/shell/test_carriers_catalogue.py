"""The catalogue is well formed, and its quick form says what its readable one says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from execpolicy.shell.catalogue import Entry, entry, names, program

ROOT = Path(__file__).parents[3]


def test_the_quick_form_agrees_with_the_readable_one() -> None:
    script = ROOT / "scripts" / "build_catalogue.py"
    done = subprocess.run([sys.executable, str(script), "--check"], check=False, timeout=60)
    assert done.returncode == 0, "run scripts/build_catalogue.py"


def below(found: Entry) -> list[Entry]:
    nested = [entry(raw) for raw in found.subs.values()]
    return nested + [one for sub in nested for one in below(sub)]


@pytest.mark.parametrize("name", sorted(names()))
def test_every_entry_is_read(name: str) -> None:
    found = program(name)
    assert found is not None
    for one in (found, *below(found)):
        for option in one.roles:
            assert option.startswith("-") or option in one.settings, option
        assert not one.options.values & one.options.optional
    assert "/" not in name


def test_the_start_path_parses_no_yaml() -> None:
    code = "import sys; from execpolicy.shell.catalogue import program; program('git'); print('yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
