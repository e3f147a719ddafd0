"""A tamperer who writes to everything on the machine, keys included, against checkpoints and a witness elsewhere."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from compliance.chain import START, seal
from compliance.cli import app
from compliance.codec import to_json
from compliance.events import Refused
from compliance.log import AuditLog
from compliance.note import SealError, device_key
from compliance.segments import Head, Snapshot, pack_head

pytest.importorskip("cryptography")

from compliance.checkpoint import advance
from compliance.cosign import Cosigner
from compliance.witness import client
from compliance.witness.memory import Memory
from compliance.witness.serve import server

STEPS = (4, 9, 15)  # records at each checkpoint


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def fill(folder: Path, count: int, word: str = "no") -> None:
    log = AuditLog(folder)
    for number in range(count):
        log.record(Refused("s", f"c{number}", word))
    log.close()


def forged(folder: Path, count: int) -> None:
    """A log of so many records that is consistent in itself, in place of what was there."""
    for path in folder.glob("records-*"):
        path.unlink()
    link, text = START, b""
    for number in range(count):
        line, link = seal(link, "2026-11-24T10:00:00.000000Z", to_json(Refused("s", f"f{number}", "no")))
        text += line
    name = "records-000000000001.jsonl"
    (folder / name).write_bytes(text)
    (folder / "head").write_bytes(pack_head(Head(link.digest, name, link.seq, len(text))))


@dataclass
class Scene:
    log: Path
    copies: dict[int, Path]  # the whole folder as it was at each checkpoint
    url: str
    key: str  # of the witness
    own: str  # of the log
    database: Path

    def verify(self, folder: Path | None = None, *words: object) -> Result:
        return run("verify", folder or self.log, *words)

    def witnessed(self, folder: Path | None = None, url: str = "") -> Result:
        return self.verify(folder, "--witness", url or self.url, "--witness-key", self.key)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    cosigner = Cosigner("w.example", device_key(tmp_path / "witness"))
    database = tmp_path / "witness.db"
    memory = Memory(database, cosigner, lambda: 1_700_000_000)
    serving = server(memory, "127.0.0.1", 0)
    threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
    url, key = f"http://127.0.0.1:{serving.server_address[1]}", str(cosigner.witness)
    log, copies = tmp_path / "audit", dict[int, Path]()
    log.mkdir(mode=0o700)
    memory.trust([device_key(log / "device.key").verifier])
    for before, size in zip((0, *STEPS), STEPS, strict=False):
        fill(log, size - before)
        assert run("witness", "send", url, "--key", key, "--dir", log).exit_code == 0
        copies[size] = Path(shutil.copytree(log, tmp_path / f"copy-{size}"))
        shutil.copy(database, tmp_path / f"db-{size}")
    yield Scene(log, copies, url, key, (log / "device.vkey").read_text(), database)
    serving.shutdown()
    serving.server_close()


def test_an_untouched_log_is_intact(scene: Scene) -> None:
    seen = scene.witnessed()
    assert (seen.exit_code, "w.example cosigned 15 records" in seen.output) == (0, True), seen.output


@pytest.mark.parametrize("size", STEPS[:-1])
def test_a_whole_folder_of_an_earlier_checkpoint(scene: Scene, size: int) -> None:
    assert scene.verify(scene.copies[size], "--key", scene.own).exit_code == 0  # nothing in it is wrong
    seen = scene.witnessed(scene.copies[size])
    assert seen.exit_code == 1
    assert f"signed over 15 records, and there are {size}, says the witness" in seen.output


@pytest.mark.parametrize("size", STEPS[:-1])
def test_records_of_an_earlier_checkpoint_under_later_ones(scene: Scene, size: int) -> None:
    for name in ("head", "records-000000000001.jsonl"):
        shutil.copy(scene.copies[size] / name, scene.log / name)
    seen = scene.verify()
    assert seen.exit_code == 1
    assert f"a checkpoint was signed over 15 records, and there are {size}" in seen.output


def test_a_witness_that_was_rolled_back(scene: Scene) -> None:
    old = sqlite3.connect(scene.database.with_name("db-9"))
    with sqlite3.connect(scene.database) as now:
        old.backup(now)
    now.close()
    old.close()
    seen = scene.witnessed()
    assert seen.exit_code == 1
    assert "w.example cosigned 15 records once, and tells of 9: it was rolled back" in seen.output


def note_server(text: str) -> HTTPServer:
    class Replays(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, text)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(200, "\n".join(text.splitlines()[-1:]) + "\n")

        def _answer(self, status: int, body: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    found = HTTPServer(("127.0.0.1", 0), Replays)
    threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
    return found


def test_an_old_answer_of_the_witness(scene: Scene) -> None:
    between = note_server((scene.copies[9] / "cosigned.note").read_text())
    url = f"http://127.0.0.1:{between.server_address[1]}"
    try:
        seen = scene.witnessed(url=url)
        assert (seen.exit_code, "or an old answer is given for it" in seen.output) == (1, True)
        fill(scene.log, 1)
        sent = run("witness", "send", url, "--key", scene.key, "--dir", scene.log)
        assert isinstance(sent.exception, SealError)
        assert "is not signed by w.example" in str(sent.exception)
    finally:
        between.shutdown()
        between.server_close()


def test_a_proof_of_growth_ends_with_its_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the length of the log: the clock of the session is looked at while it is read."""
    fill(scene.log, 3)
    signed = advance(scene.log)
    assert signed is not None
    real, read, late = client.time.monotonic, client.leaves, list[int]()

    def slow(log: Snapshot) -> Iterator[tuple[str, int, bytes]]:
        late.append(100)
        yield from read(log)

    monkeypatch.setattr(client, "leaves", slow)
    monkeypatch.setattr(client.time, "monotonic", lambda: real() + sum(late))
    why = client.cosign(scene.log, signed, scene.url, scene.key, 50.0)
    assert "only grew takes too long here" in why
    monkeypatch.undo()
    assert client.cosign(scene.log, signed, scene.url, scene.key, 50.0) == ""


def test_two_logs_of_one_device(scene: Scene) -> None:
    fork = scene.copies[9]
    fill(fork, 20, "another story")
    refused = run("witness", "send", scene.url, "--key", scene.key, "--dir", fork)
    assert "does not cosign (422)" in str(refused.exception)
    assert scene.verify(fork, "--key", scene.own).exit_code == 0
    seen = scene.witnessed(fork)
    assert (seen.exit_code, "the first 15 records are not those that were signed" in seen.output) == (1, True)


def all_forged(scene: Scene) -> None:
    """Another log, signed anew with another key: consistent in everything."""
    for path in scene.log.iterdir():
        path.unlink()
    forged(scene.log, 15)
    assert run("checkpoint", "--dir", scene.log).exit_code == 0


def signed_anew(scene: Scene) -> None:
    for name in ("device.key", "device.vkey", "checkpoints.jsonl", "checkpoints.state"):
        (scene.log / name).unlink()
    assert run("checkpoint", "--dir", scene.log).exit_code == 0


def nothing_signed(scene: Scene) -> None:
    for name in ("device.key", "device.vkey", "checkpoints.jsonl", "checkpoints.state"):
        (scene.log / name).unlink()
    forged(scene.log, 3)


@pytest.mark.parametrize(
    ("attack", "words", "with_witness"),
    [
        (all_forged, "is not signed by", "knows no checkpoint of"),
        (signed_anew, "is not signed by", "knows no checkpoint of"),
        (nothing_signed, "no checkpoint is signed by", "the log has no key"),
    ],
)
def test_another_key(scene: Scene, attack: Callable[[Scene], None], words: str, with_witness: str) -> None:
    attack(scene)
    assert scene.verify().exit_code == 0  # consistent in itself: only who knows more can tell
    seen = scene.verify(None, "--key", scene.own)
    assert (seen.exit_code, words in seen.output) == (1, True), seen.output
    seen = scene.witnessed()
    assert (seen.exit_code, with_witness in seen.output) == (1, True), seen.output


@pytest.mark.parametrize("name", ["device.key", "device.vkey"])
def test_half_of_another_key(scene: Scene, tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    fill(other, 1)
    run("checkpoint", "--dir", other)
    shutil.copy(other / name, scene.log / name)
    seen = scene.verify()
    assert (seen.exit_code, "checkpoint at" in seen.output) == (1, True), seen.output
    assert name in seen.output or "is not signed by" in seen.output


def test_a_forged_checkpoint_among_the_others(scene: Scene, tmp_path: Path) -> None:
    other = Path(shutil.copytree(scene.log, tmp_path / "other"))
    for name in ("device.key", "device.vkey", "checkpoints.jsonl", "checkpoints.state"):
        (other / name).unlink()
    fill(other, 2)
    run("checkpoint", "--dir", other)
    with (scene.log / "checkpoints.jsonl").open("ab") as file:
        file.write((other / "checkpoints.jsonl").read_bytes())
    fill(scene.log, 2)
    seen = scene.verify()
    assert (seen.exit_code, "the checkpoint over 17 records is not signed by" in seen.output) == (1, True)


def test_a_kept_note_that_was_changed(scene: Scene) -> None:
    path = scene.log / "cosigned.note"
    path.write_text(path.read_text().replace("\n15\n", "\n14\n"))
    seen = scene.witnessed()
    assert (seen.exit_code, "is not what w.example cosigned" in seen.stderr) == (1, True), seen.output


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["prove", "0"], 2, "invalid value for `SEQ`"),
        (["prove", "abc"], 2, "invalid value for `SEQ`"),
        (["prove", "16"], 1, "there is no sound record 16"),
        (["prove", "9" * 40], 1, "there is no sound record"),
        (["prove", "3", "--dir", "nowhere"], 1, "no audit log in"),
        (["check-proof", "nowhere", "--key", "KEY"], 2, "cannot read `nowhere`"),
        (["check-proof", ".", "--key", "KEY"], 2, "directory"),
        (["check-proof", "/dev/null", "--key", "KEY"], 1, "this is no proof of a record"),
        (["check-proof", "/dev/zero", "--key", "KEY"], 1, "this is no proof of a record"),
        (["check-proof", "LOG/head", "--key", "KEY"], 1, "this is no proof of a record"),
        (["check-proof", "LOG/cosigned.note", "--key", "KEY"], 1, "this is no proof of a record"),
        (["check-proof", "LOG/head", "--key", "x" * 5000], 2, "--key"),
        (["check-proof", "LOG/head", "--key", "LOG"], 2, "--key"),
        (["check-proof", "LOG/head", "--key", "LOG/device.key"], 2, "--key"),
        (
            ["verify", "LOG", "--witness", "y" * 5000, "--witness-key", "WITNESS"],
            2,
            "no http or https address",
        ),
        (["verify", "LOG", "--witness", "http://127.0.0.1:1"], 2, "belong together"),
        (["verify", "LOG", "--witness", "LOG/head", "--witness-key", "WITNESS"], 1, "is no checkpoint that"),
    ],
)
def test_wrong_words_are_told(scene: Scene, words: list[str], status: int, said: str) -> None:
    known = {"KEY": str(scene.log / "device.vkey"), "LOG": str(scene.log), "WITNESS": scene.key}
    filled = [known.get(word, word.replace("LOG/", f"{scene.log}/")) for word in words]
    if words[0] == "prove" and "--dir" not in words:
        filled += ["--dir", str(scene.log)]
    done = subprocess.run(
        [sys.executable, "-m", "agent", "audit", *filled],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == status, done.stderr
    assert said in " ".join(done.stderr.split()), done.stderr
    assert "Traceback" not in done.stderr
