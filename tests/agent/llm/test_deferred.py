"""A package imported in parts is whole for whoever asks for more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.llm.deferred import deferred


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "boughs"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .heavy import Heavy\nfrom . import light\nranged = [1]\n")
    (folder / "heavy.py").write_text("class Heavy: ...\n")
    (folder / "light.py").write_text("from . import lighter\nname = lighter.name\n")
    (folder / "lighter.py").write_text("name = 'light'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "boughs"
    for name in [name for name in sys.modules if name.partition(".")[0] == "boughs"]:
        del sys.modules[name]


def test_a_part_loads_without_the_whole(package: str):
    with deferred([package]):
        from boughs.light import name  # type: ignore[import-not-found]
    assert name == "light"
    assert "boughs.heavy" not in sys.modules


def test_a_name_of_the_whole_loads_the_whole(package: str):
    with deferred([package]):
        import boughs  # type: ignore[import-not-found]
    assert boughs.ranged == [1]
    assert boughs.Heavy is sys.modules["boughs.heavy"].Heavy
    assert boughs.ranged is boughs.ranged


def test_a_name_that_nobody_has_is_an_attribute_error(package: str):
    with deferred([package]):
        import boughs
    with pytest.raises(AttributeError):
        boughs.absent  # noqa: B018
    with pytest.raises(AttributeError):
        boughs.__wrapped__  # noqa: B018
    with pytest.raises(ImportError):
        from boughs import absent  # noqa: F401


def test_outside_of_it_packages_load_as_ever(package: str):
    with deferred([package]):
        pass
    import boughs  # noqa: F401

    assert "boughs.heavy" in sys.modules


def test_the_client_leaves_the_types_of_the_service_alone_and_usable():
    script = """
import sys
from agent.llm.responses import ResponsesClient
ResponsesClient(base_url="http://127.0.0.1:1/v1", api_key="x")._connect()
loaded = sum(name.startswith("openai.types") for name in sys.modules)
assert loaded < 20, loaded
import openai
from openai.types.responses import Response
assert openai.OpenAI(api_key="x").responses and Response.model_fields
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
