"""Many writers and readers of one compiled policy, and one of another engine: never a wrong answer."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from execpolicy.bundle import cache
from execpolicy.bundle.load import PolicySource, load_policy
from execpolicy.decision import Decision, Layer
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext

CONTEXT = CheckContext(cwd="/w", workspace="/w")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "t.rules"
    path.write_text(
        "".join(f'prefix_rule(["w{number}"], decision = "deny")\n' for number in range(200)), "utf-8"
    )
    return path


def decision(rules: Path, folder: Path) -> Decision:
    loaded = load_policy([PolicySource(rules, Layer.USER)], cache_dir=folder)
    return check("w7", loaded.policy, CONTEXT).decision


def test_racing_writers(tmp_path: Path, rules: Path) -> None:
    folder = tmp_path / "cache"
    answers: list[Decision] = []

    def work() -> None:
        for _ in range(5):
            answers.append(decision(rules, folder))
            for path in folder.glob("*" + cache.ENDING):
                path.unlink(missing_ok=True)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert answers == [Decision.DENY] * 30
    assert decision(rules, folder) is Decision.DENY
    assert all(name.endswith(cache.ENDING) for name in os.listdir(folder))


def test_a_policy_of_another_engine_is_stale(
    tmp_path: Path, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    decision(rules, folder)
    (old,) = os.listdir(folder)
    monkeypatch.setattr(cache, "_engine", lambda: b"another")
    assert decision(rules, folder) is Decision.DENY
    (new,) = set(os.listdir(folder)) - {old}
    (folder / new).write_bytes((folder / old).read_bytes())
    assert cache.read(folder, new.removesuffix(cache.ENDING)) is None
    assert decision(rules, folder) is Decision.DENY
