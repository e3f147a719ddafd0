"""`policy fmt` and `lint --fix` on a full disk, and ended midway: the old file or the new one."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits and signals of POSIX")

OLD = "".join(
    f"# number {number}\nprefix_rule( pattern=['git','w{number}'], justification='j' )\n"
    for number in range(400)
)
NEEDLESS = OLD + 'prefix_rule(["git", "w1"])\n'


def start(folder: Path, *words: str, bytes_: int | None = None) -> subprocess.Popen[bytes]:
    def limit() -> None:
        if bytes_ is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))

    # Without `-B` the limit would leave half of a compiled module behind.
    return subprocess.Popen(
        [sys.executable, "-I", "-B", "-m", "execpolicy", *words],
        cwd=folder,
        env={**os.environ, "AGENT_HOME": str(folder / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=limit,
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "home")


@pytest.mark.parametrize(
    ("words", "text"),
    [(["fmt", "t.rules"], OLD), (["lint", "--fix", "--rules", "t.rules"], NEEDLESS)],
    ids=["fmt", "lint"],
)
@pytest.mark.parametrize("bytes_", [0, 1, 4096])
def test_a_full_disk_keeps_the_old_file(tmp_path: Path, words: list[str], text: str, bytes_: int) -> None:
    file = tmp_path / "t.rules"
    file.write_text(text, "utf-8")
    done = start(tmp_path, *words, bytes_=bytes_)
    out, err = done.communicate(timeout=60)
    assert done.returncode == 1, out
    assert b"error: cannot write `t.rules`" in err
    assert b"Traceback" not in err
    assert file.read_text("utf-8") == text
    assert names(tmp_path) == ["t.rules"]


def test_ended_midway_it_keeps_the_old_or_the_new_file(tmp_path: Path) -> None:
    file = tmp_path / "t.rules"
    file.write_text(OLD, "utf-8")
    begun = time.monotonic()
    start(tmp_path, "fmt", "t.rules").communicate(timeout=60)
    takes = time.monotonic() - begun
    new = file.read_text("utf-8")
    assert new != OLD
    rng = random.Random(7)
    for number in range(10):
        file.write_text(OLD, "utf-8")
        running = start(tmp_path, "fmt", "t.rules")
        time.sleep(takes * rng.uniform(0.5, 1.05))
        running.send_signal(signal.SIGKILL if number % 2 else signal.SIGTERM)
        running.communicate(timeout=60)
        assert file.read_text("utf-8") in (OLD, new)
