"""Fixtures shared by every test."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of measured data that is not part of the project; tests that need it say so and skip."""
    folder = os.environ.get("AGENT_REFERENCE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("AGENT_REFERENCE_DATA names no folder of reference data")
    return Path(folder)


@pytest.fixture(scope="session", autouse=True)
def hangs_up() -> None:
    """Under `nohup` all children would ignore SIGHUP, and tests that send it would wait for ever."""
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
