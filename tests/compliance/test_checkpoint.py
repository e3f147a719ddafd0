"""What was signed cannot be changed unseen, and one record can be shown to be in it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance.chain import START, FlawKind, seal
from compliance.checkpoint import (
    advance,
    compare,
    keeping,
    own_verifier,
    signed_checkpoints,
)
from compliance.codec import to_json
from compliance.events import Refused, SessionEnded
from compliance.log import AuditLog
from compliance.note import SealError, Verifier, device_key, read_checkpoint, read_verifier
from compliance.proof import check_proof, prove
from compliance.segments import Head, pack_head, snapshot
from compliance.signing import Checkpointer

pytest.importorskip("cryptography")


def fill(folder: Path, count: int) -> None:
    log = AuditLog(folder, segment_bytes=2000)
    for number in range(count):
        log.record(Refused("s", f"c{number}", "no"))
    log.close()


def flaws(folder: Path) -> list[tuple[FlawKind, int]]:
    found = compare(snapshot(folder), signed_checkpoints(folder), own_verifier(folder))
    return [(flaw.kind, flaw.seq) for flaw in found]


def rewritten(folder: Path, count: int) -> None:
    """Another log in place of the old one, consistent in itself: what a hash chain cannot show."""
    for path in folder.glob("records-*"):
        path.unlink()
    link, text = START, b""
    for number in range(count):
        line, link = seal(link, "2026-11-24T10:00:00.000000Z", to_json(Refused("s", f"forged{number}", "no")))
        text += line
    (folder / "records-000000000001.jsonl").write_bytes(text)
    (folder / "head").write_bytes(
        pack_head(Head(link.digest, "records-000000000001.jsonl", link.seq, len(text)))
    )


def test_checkpoints_are_signed_notes_over_the_growing_log(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    first = advance(tmp_path)
    assert first
    assert advance(tmp_path) is None
    fill(tmp_path, 20)
    second = advance(tmp_path)
    (tmp_path / "checkpoints.state").unlink()
    fill(tmp_path, 1)
    third = advance(tmp_path)
    assert [one.checkpoint.size for one in (first, second, third) if one] == [5, 25, 26]
    assert [one.note for one in signed_checkpoints(tmp_path)] == [
        one.note for one in (first, second, third) if one
    ]
    verifier = own_verifier(tmp_path)
    assert verifier
    assert verifier == read_verifier(str(verifier))
    assert verifier.signed(first.note)
    assert (tmp_path / "device.key").stat().st_mode & 0o777 == 0o600
    assert flaws(tmp_path) == []


def test_a_log_that_was_made_anew_is_found(tmp_path: Path) -> None:
    fill(tmp_path, 8)
    advance(tmp_path)
    rewritten(tmp_path, 8)
    assert flaws(tmp_path) == [(FlawKind.CHECKPOINT, 8)]
    fill(tmp_path, 3)
    assert flaws(tmp_path) == [(FlawKind.CHECKPOINT, 8)]


def test_a_log_rolled_back_is_found(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    copies = {path: path.read_bytes() for path in tmp_path.iterdir()}
    fill(tmp_path, 4)
    advance(tmp_path)
    for path, data in copies.items():
        path.write_bytes(data)
    assert flaws(tmp_path) == [(FlawKind.CHECKPOINT, 8)]


def test_nothing_that_contradicts_a_checkpoint_is_signed(tmp_path: Path) -> None:
    fill(tmp_path, 8)
    advance(tmp_path)
    (tmp_path / "checkpoints.state").unlink()
    rewritten(tmp_path, 12)
    with pytest.raises(SealError, match="not what was signed before"):
        advance(tmp_path)
    rewritten(tmp_path, 3)
    with pytest.raises(SealError, match="not what was signed before"):
        advance(tmp_path)
    assert len(signed_checkpoints(tmp_path)) == 1


def test_a_checkpoint_by_another_key_is_found(tmp_path: Path) -> None:
    fill(tmp_path / "a", 3)
    fill(tmp_path / "b", 3)
    for name in ("a", "b"):
        advance(tmp_path / name)
    (tmp_path / "a" / "checkpoints.jsonl").write_bytes((tmp_path / "b" / "checkpoints.jsonl").read_bytes())
    assert flaws(tmp_path / "a") == [(FlawKind.CHECKPOINT, 3)]


def test_half_a_checkpoint_is_taken_off(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    advance(tmp_path)
    with (tmp_path / "checkpoints.jsonl").open("ab") as file:
        file.write(b'{"note":"half')
    assert flaws(tmp_path) == []
    fill(tmp_path, 1)
    advance(tmp_path)
    assert [one.checkpoint.size for one in signed_checkpoints(tmp_path)] == [3, 4]


def test_a_line_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    (tmp_path / "checkpoints.jsonl").write_text('{"note":"x"}\n')
    with pytest.raises(SealError, match=r"checkpoints.jsonl:1 is no checkpoint"):
        signed_checkpoints(tmp_path)


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    (tmp_path / "device.key").write_text("junk")
    with pytest.raises(SealError, match="is no private key"):
        advance(tmp_path)
    for text in ("", "a+b", "a+00000000+AQ==", "a+00000000+" + base64.b64encode(b"\1" + b"x" * 32).decode()):
        with pytest.raises(SealError):
            read_verifier(text)


def test_the_log_is_signed_as_it_grows(tmp_path: Path) -> None:
    log, watch = AuditLog(tmp_path), Checkpointer(tmp_path, every=10)
    for number in range(25):
        event = Refused("s", str(number), "no")
        watch.observe(log.record(event), event)
    end = SessionEnded("s", "done")
    watch.observe(log.record(end), end)
    watch.close()
    log.close()
    sizes = [one.checkpoint.size for one in signed_checkpoints(tmp_path)]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == 26
    assert watch.trouble == ""
    watch.close()


def test_a_key_that_cannot_be_used_is_trouble_and_no_error(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    (tmp_path / "device.key").write_text("junk")
    watch = Checkpointer(tmp_path)
    watch.observe(1, SessionEnded("s", "done"))
    watch.close()
    assert "no private key" in watch.trouble


@given(st.integers(1, 23))
@settings(max_examples=23, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_record_can_be_proved(proved: Path, seq: int) -> None:
    verifier = own_verifier(proved)
    assert verifier
    text = prove(snapshot(proved), signed_checkpoints(proved), seq)
    record, line = check_proof(text, verifier)
    assert (record.seq, json.loads(line)["seq"]) == (seq, seq)


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    for count in (5, 8, 10):
        fill(folder, count)
        advance(folder)
    return folder


@given(st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_proof_proves_nothing(proved: Path, data: st.DataObject) -> None:
    verifier = own_verifier(proved)
    assert verifier
    text = prove(snapshot(proved), signed_checkpoints(proved), 9)
    at = data.draw(st.integers(0, len(text) - 1))
    char = data.draw(st.sampled_from("Aa0+/= \n\x00é"))
    changed = text[:at] + char + text[at + 1 :]
    if changed == text:
        return
    try:
        record, _ = check_proof(changed, verifier)
    except SealError:
        return
    # base64 ignores the unused bits of its last character: the same bytes, so the same proof
    assert record.seq == 9
    assert text[at + 1] in "=\n" or text[at + 1 : at + 3] == "=="


def test_what_is_not_covered_is_not_proved(proved: Path, tmp_path: Path) -> None:
    with pytest.raises(SealError, match="no sound record 99"):
        prove(snapshot(proved), signed_checkpoints(proved), 99)
    fill(tmp_path, 2)
    with pytest.raises(SealError, match="no checkpoint covers"):
        prove(snapshot(tmp_path), (), 1)
    other = Verifier("other", b"x" * 32)
    with pytest.raises(SealError, match="not signed by other"):
        check_proof(prove(snapshot(proved), signed_checkpoints(proved), 1), other)
    with pytest.raises(SealError, match="no proof"):
        check_proof("hello", other)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_the_signature_is_good_for_openssl(proved: Path, tmp_path: Path) -> None:
    note = signed_checkpoints(proved)[-1].note
    text, _, under = note.rpartition("\n\n")
    (tmp_path / "text").write_text(text + "\n")
    (tmp_path / "sig").write_bytes(base64.b64decode(under.split()[2])[4:])
    key = proved / "device.key"
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", tmp_path / "pub"], check=True)
    ran = subprocess.run(
        [
            "openssl",
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            "pub",
            "-rawin",
            "-in",
            "text",
            "-sigfile",
            "sig",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Signature Verified Successfully" in ran.stdout + ran.stderr


ROOT = base64.b64encode(b"r" * 32).decode()
UNDER = f"\n— example.com/log {base64.b64encode(b's' * 68).decode()}\n"


@pytest.mark.parametrize(
    ("note", "size"),
    [
        pytest.param(f"example.com/log\n17\n{ROOT}\n{UNDER}", 17, id="plain"),
        pytest.param(f"example.com/log\n0\n{ROOT}\nmore\n{UNDER}", 0, id="extension-line"),
        pytest.param(
            f"example.com/log\n1\n{ROOT}\n{UNDER}— other.example aGVsbG8=\n", 1, id="two-signatures"
        ),
        pytest.param(f"example.com/log\n017\n{ROOT}\n{UNDER}", None, id="leading-zero"),
        pytest.param(f"example.com/log\n-1\n{ROOT}\n{UNDER}", None, id="negative"),
        pytest.param(f"example.com/log\n17\naGVsbG8=\n{UNDER}", None, id="short-root"),
        pytest.param(f"\n17\n{ROOT}\n{UNDER}", None, id="no-origin"),
        pytest.param(f"example.com/log\n17\n{ROOT}\n", None, id="unsigned"),
        pytest.param(f"example.com/log\n17\n{ROOT}\n{UNDER}trailing", None, id="trailing"),
        pytest.param("", None, id="empty"),
    ],
)
def test_checkpoints_are_read_as_specified(note: str, size: int | None) -> None:
    found = read_checkpoint(note)
    assert (found.size if found else None) == size


def test_one_key_even_when_two_make_it(tmp_path: Path) -> None:
    assert device_key(tmp_path / "k").verifier == device_key(tmp_path / "k").verifier
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


@pytest.mark.parametrize("name", ["device.vkey", "device.key", "checkpoints.state", "checkpoints.jsonl"])
@pytest.mark.parametrize("what", ["pipe", "device", "folder"])
def test_what_is_no_ordinary_file_is_told_and_not_waited_for(tmp_path: Path, name: str, what: str) -> None:
    fill(tmp_path, 3)
    advance(tmp_path)
    (tmp_path / name).unlink(missing_ok=True)
    match what:
        case "pipe":
            os.mkfifo(tmp_path / name)
        case "device":
            (tmp_path / name).symlink_to("/dev/zero")
        case _:
            (tmp_path / name).mkdir()
    try:
        told = " ".join(flaw.segment for flaw in keeping(tmp_path).flaws)
    except SealError as error:
        told = str(error)
    assert name in told or (name == "device.vkey" and "checkpoints.jsonl" in told)
