"""A witness cosigns only growth, so rollback, fork and a cut tail are seen."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from compliance.cli import app
from compliance.events import Refused
from compliance.log import AuditLog
from compliance.merkle import Tree, consistency_ranges, leaf_hash, roots
from compliance.note import Checkpoint, SealError, Signer, device_key, read_checkpoint
from compliance.witness.request import read_request, write_request

pytest.importorskip("cryptography")

from compliance.cosign import Cosigner, read_witness
from compliance.witness.memory import Memory
from compliance.witness.serve import server


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Signer, Cosigner]:
    folder = tmp_path_factory.mktemp("keys")
    return device_key(folder / "log"), Cosigner("w.example", device_key(folder / "witness"))


def note(signer: Signer, leaves: list[bytes]) -> str:
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf_hash(leaf))
    return signer.sign(Checkpoint(signer.verifier.name, tree.size, tree.root()).text())


def grown(signer: Signer, leaves: list[bytes], old: int) -> str:
    steps = roots(consistency_ranges(old, len(leaves)), map(leaf_hash, leaves)) if old <= len(leaves) else ()
    return write_request(old, steps, note(signer, leaves))


LEAVES = [b"%d" % number for number in range(40)]


def test_growth_is_cosigned_and_remembered(tmp_path: Path, keys: tuple[Signer, Cosigner]) -> None:
    signer, cosigner = keys
    memory = Memory(tmp_path / "db", cosigner, lambda: 1_700_000_000)
    memory.trust([signer.verifier])
    for old, new in ((0, 3), (3, 8), (8, 8), (8, 21)):
        request = grown(signer, LEAVES[:new], old)
        answer = memory.add(request)
        assert answer.status == 200, (old, new, answer)
        cosigned = note(signer, LEAVES[:new]) + answer.body
        assert cosigner.witness.cosigned(cosigned) == 1_700_000_000
        assert memory.latest(signer.verifier.name).body == cosigned
        memory = Memory(tmp_path / "db", cosigner, lambda: 1_700_000_000)  # it survives a restart


@pytest.mark.parametrize(
    ("make", "status", "body"),
    [
        pytest.param(lambda s: grown(s, LEAVES[:20], 0), 409, "10\n", id="old-size-is-another"),
        pytest.param(lambda s: grown(s, LEAVES[:7], 7), 409, "10\n", id="rollback"),
        pytest.param(lambda s: grown(s, LEAVES[:5], 10), 400, "", id="old-above-new"),
        pytest.param(lambda s: grown(s, [b"x", *LEAVES[1:20]], 10), 422, "", id="fork"),
        pytest.param(lambda s: grown(s, [b"x", *LEAVES[1:10]], 10), 409, "10\n", id="other-root-same-size"),
        pytest.param(lambda s: write_request(10, (), note(s, LEAVES[:20])), 422, "", id="no-proof"),
        pytest.param(lambda s: "old 10\n\njunk\n", 400, "", id="no-checkpoint"),
        pytest.param(lambda s: grown(s, LEAVES[:20], 10).replace("old 10", "old 010"), 400, "", id="zeroes"),
        pytest.param(
            lambda s: grown(s, LEAVES[:20], 10).replace("\n20\n", "\n21\n"), 403, "", id="not-signed"
        ),
        pytest.param(lambda s: grown(s, LEAVES[:20], 10).replace("policy", "x"), 404, "", id="unknown"),
        pytest.param(lambda s: "old 0\n" + "ü\n" + "\n" + note(s, LEAVES), 400, "", id="no-ascii"),
    ],
)
def test_anything_else_is_refused(
    tmp_path: Path, keys: tuple[Signer, Cosigner], make: object, status: int, body: str
) -> None:
    signer, cosigner = keys
    memory = Memory(tmp_path / "db", cosigner, lambda: 1)
    memory.trust([signer.verifier])
    assert memory.add(grown(signer, LEAVES[:10], 0)).status == 200
    before = memory.latest(signer.verifier.name)
    assert callable(make)
    answer = memory.add(make(signer))
    assert answer.status == status
    assert body in answer.body
    assert "— w.example" not in answer.body
    assert memory.latest(signer.verifier.name) == before


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.integers(0, 20)), max_size=8))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_that_was_ever_cosigned_is_one_log(
    tmp_path_factory: pytest.TempPathFactory,
    keys: tuple[Signer, Cosigner],
    steps: list[tuple[int, bool, int]],
) -> None:
    signer, cosigner = keys
    memory = Memory(tmp_path_factory.mktemp("w") / "db", cosigner, lambda: 1)
    memory.trust([signer.verifier])
    other = [b"fork", *LEAVES[1:]]
    cosigned: list[tuple[int, bool]] = []
    for new, forked, old in steps:
        if memory.add(grown(signer, (other if forked else LEAVES)[:new], old)).status == 200:
            cosigned.append((new, forked))
    sizes = [size for size, _ in cosigned]
    assert sizes == sorted(sizes)
    assert len({forked for size, forked in cosigned if size}) <= 1


@given(st.binary(max_size=200))
def test_no_body_breaks_the_reader(data: bytes) -> None:
    assert read_request(data.decode("utf-8", "replace")) is None


def test_a_key_of_a_witness_is_read_back(keys: tuple[Signer, Cosigner]) -> None:
    witness = keys[1].witness
    assert read_witness(str(witness)) == witness
    for bad in ("", "a+b", str(keys[0].verifier), str(witness).replace("w.", "v.")):
        with pytest.raises(SealError):
            read_witness(bad)


def test_a_changed_cosignature_is_none(keys: tuple[Signer, Cosigner]) -> None:
    signer, cosigner = keys
    text = note(signer, LEAVES)
    good = text + cosigner.cosign(text.partition("\n\n")[0] + "\n", 5)
    assert cosigner.witness.cosigned(good) == 5
    assert cosigner.witness.cosigned(good.replace("\n40\n", "\n41\n")) is None
    assert cosigner.witness.cosigned(text) is None
    assert read_checkpoint(good) == read_checkpoint(text)


@dataclass
class Running:
    url: str
    key: str
    memory: Memory


@pytest.fixture
def running(tmp_path: Path, keys: tuple[Signer, Cosigner]) -> Iterator[Running]:
    memory = Memory(tmp_path / "witness.db", keys[1], lambda: 1_700_000_000)
    serving = server(memory, "127.0.0.1", 0)
    threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
    yield Running(f"http://127.0.0.1:{serving.server_address[1]}", str(keys[1].witness), memory)
    serving.shutdown()
    serving.server_close()


def fill(folder: Path, count: int) -> None:
    log = AuditLog(folder)
    for number in range(count):
        log.record(Refused("s", f"c{number}", "no"))
    log.close()


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def verify(folder: Path, running: Running) -> Result:
    return run("verify", folder, "--witness", running.url, "--witness-key", running.key)


def test_rollback_and_cut_tail_are_seen_though_the_folder_is_consistent(
    tmp_path: Path, running: Running
) -> None:
    log, old = tmp_path / "audit", tmp_path / "old"
    fill(log, 5)
    run("checkpoint", "--dir", log)
    running.memory.trust([device_key(log / "device.key").verifier])
    assert run("witness", "send", running.url, "--key", running.key, "--dir", log).exit_code == 0
    shutil.copytree(log, old)
    fill(log, 4)
    sent = run("witness", "send", running.url, "--key", running.key, "--dir", log)
    assert sent.exit_code == 0
    fine = verify(log, running)
    assert (fine.exit_code, "w.example cosigned 9 records" in fine.output) == (0, True)
    assert run("verify", old).exit_code == 0
    seen = verify(old, running)
    assert seen.exit_code == 1
    assert "signed over 9 records, and there are 5, says the witness" in seen.output
    saved = tmp_path / "note"
    saved.write_text(sent.output)
    offline = run("verify", old, "--witness", saved, "--witness-key", running.key)
    assert (offline.exit_code, offline.output) == (1, seen.output)


def test_a_fork_is_neither_cosigned_nor_verified(tmp_path: Path, running: Running) -> None:
    log, fork = tmp_path / "audit", tmp_path / "fork"
    fill(log, 3)
    run("checkpoint", "--dir", log)
    running.memory.trust([device_key(log / "device.key").verifier])
    shutil.copytree(log, fork)
    fill(log, 3)
    fill(fork, 7)
    assert run("witness", "send", running.url, "--key", running.key, "--dir", log).exit_code == 0
    refused = run("witness", "send", running.url, "--key", running.key, "--dir", fork)
    assert isinstance(refused.exception, SealError)
    assert "does not cosign (422)" in str(refused.exception)
    assert run("verify", fork).exit_code == 0
    assert "not those that were signed, says the witness" in verify(fork, running).output


def test_a_log_no_witness_knows_is_not_called_intact(tmp_path: Path, running: Running) -> None:
    fill(tmp_path / "audit", 1)
    run("checkpoint", "--dir", tmp_path / "audit")
    seen = verify(tmp_path / "audit", running)
    assert (seen.exit_code, "knows no checkpoint" in seen.output) == (1, True)


def test_a_witness_that_is_gone_is_no_pass(tmp_path: Path, keys: tuple[Signer, Cosigner]) -> None:
    fill(tmp_path / "audit", 1)
    run("checkpoint", "--dir", tmp_path / "audit")
    key = str(keys[1].witness)
    seen = run("verify", tmp_path / "audit", "--witness", "http://127.0.0.1:1", "--witness-key", key)
    assert (seen.exit_code, "does not answer" in seen.stderr) == (1, True)
