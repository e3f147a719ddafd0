"""The signed list of a pack's files: an in-toto Statement in a DSSE envelope; and the check of a pack against it."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from compliance.checkpoint import Signed
from compliance.errors import ComplianceError
from compliance.merkle import Growth, is_consistent
from compliance.note import SealError, Signer, Verifier, is_signature, read_checkpoint, read_verifier
from compliance.proof import check_proof

NAME: Final = "statement.dsse.json"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "urn:policy-agent:evidence-pack:1"
MOST_FILES: Final = 100_000
MOST_BYTES: Final = 64 * 1024 * 1024


class PackError(ComplianceError):
    """A pack that cannot be read or is no pack."""


class _Signature(msgspec.Struct):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct):
    payload: str
    payloadType: str
    signatures: list[_Signature]


class _Subject(msgspec.Struct):
    name: str
    digest: dict[str, str]


class _Statement(msgspec.Struct):
    type: str = msgspec.field(name="_type")
    subject: list[_Subject]
    predicateType: str
    predicate: dict[str, Any]


class _Step(msgspec.Struct):
    old_size: int
    old_root: str
    new_size: int
    new_root: str
    proof: list[str]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found about a pack. Sound when nothing is wrong; it may still say of itself that it is not complete."""

    wrong: tuple[str, ...]  # each changed, missing or extra file, each proof that does not hold
    files: int
    proofs: int
    signer: str
    complete: bool
    why: tuple[str, ...]
    own_key: bool  # the key came with the pack: who could change the pack could change the key


def statement(files: Mapping[str, bytes], predicate: Mapping[str, Any]) -> bytes:
    """The statement over `files`, in the order of their names."""
    subject = [
        {"name": name, "digest": {"sha256": hashlib.sha256(files[name]).hexdigest()}}
        for name in sorted(files)
    ]
    value = {"_type": STATEMENT, "subject": subject, "predicateType": PREDICATE, "predicate": predicate}
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def envelope(payload: bytes, signer: Signer) -> bytes:
    signature = signer.key.sign(encoded(payload))
    value = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {"keyid": signer.verifier.id.hex(), "sig": base64.b64encode(signature).decode()},
        ],
    }
    return json.dumps(value, indent=1).encode() + b"\n"


def encoded(payload: bytes, kind: str = PAYLOAD_TYPE) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def check_pack(folder: Path, trusted: Verifier | None) -> Checked:
    """Check a pack with nothing but a key: each file, and each proof in it. PackError when it is no pack.

    Without `trusted`, the key that lies in the pack is taken, and that is told.
    """
    stated, raw = _read(folder)
    own = trusted is None
    key = trusted or _own_key(folder)
    wrong: list[str] = []
    if not any(_signed(raw, one, key) for one in raw.signatures):
        wrong.append(f"{NAME}: not signed by {key.name}")
    wanted = {one.name: one.digest.get("sha256", "") for one in stated.subject}
    there = _files(folder)
    for name in sorted({*wanted, *there} - {NAME}):
        if name not in there:
            wrong.append(f"{name}: missing")
        elif name not in wanted:
            wrong.append(f"{name}: extra, the statement does not list it")
        elif _digest(there[name]) != wanted[name]:
            wrong.append(f"{name}: changed")
    proofs = 0
    sound = [name for name in sorted(wanted) if name in there and _digest(there[name]) == wanted[name]]
    for name in sound:  # what was changed is named already, and might be no file at all
        told = _proof(name, there[name], there)
        if told is not None:
            proofs += 1
            wrong += [f"{name}: {told}"] if told else []
    why = stated.predicate.get("incomplete", [])
    return Checked(
        wrong=tuple(wrong),
        files=len(wanted),
        proofs=proofs,
        signer=key.name,
        complete=stated.predicate.get("complete") is True,
        why=tuple(str(one) for one in why) if isinstance(why, list) else (),
        own_key=own,
    )


def _read(folder: Path) -> tuple[_Statement, _Envelope]:
    path = folder / NAME
    try:
        raw = msgspec.json.decode(_bytes(path), type=_Envelope)
        stated = msgspec.json.decode(base64.b64decode(raw.payload, validate=True), type=_Statement)
    except OSError as error:
        raise PackError(
            f"cannot read `{path}`: {(error.strerror or str(error)).lower()}",
            "name the folder that `agent audit evidence -o FOLDER` wrote",
        ) from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise PackError(f"`{path}` is no signed statement", "have the pack sent again") from None
    if raw.payloadType != PAYLOAD_TYPE or stated.type != STATEMENT or stated.predicateType != PREDICATE:
        raise PackError(f"`{path}` is no statement over an evidence pack", "have the pack sent again")
    return stated, raw


def _bytes(path: Path) -> bytes:
    """OSError for what is no ordinary file: a pipe would be waited for."""
    if not path.is_file():
        raise OSError(errno.ENOENT, "no such file")
    with path.open("rb") as stream:
        return stream.read(MOST_BYTES)


def _own_key(folder: Path) -> Verifier:
    try:
        return read_verifier(_bytes(folder / "signer.vkey").decode())
    except (OSError, UnicodeDecodeError):
        raise PackError("the pack holds no key", "name the key that you trust with --key") from None


def _signed(raw: _Envelope, one: _Signature, key: Verifier) -> bool:
    try:
        signature = base64.b64decode(one.sig, validate=True)
        return is_signature(key.public, signature, encoded(base64.b64decode(raw.payload), raw.payloadType))
    except ValueError:
        return False
    except ImportError:
        raise PackError("what checks signatures is not installed", "install policy-agent[seal]") from None


def _files(folder: Path) -> dict[str, Path]:
    """Every file by its name in the pack; a link stands for what is not there."""
    found: dict[str, Path] = {}
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            found[path.relative_to(folder).as_posix()] = path
            if len(found) > MOST_FILES:
                raise PackError(
                    f"`{folder}` holds more than {MOST_FILES} files", "name the folder of the pack"
                )
    return found


def _digest(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return "no ordinary file"
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return error.strerror or "unreadable"


def _proof(name: str, path: Path, there: Mapping[str, Path]) -> str | None:
    """What is wrong with a proof, empty when it holds; None for what is none."""
    parts = name.split("/")
    if parts[0] != "proofs" or len(parts) < 3:
        return None
    key_path = there.get(f"{parts[0]}/{parts[1]}/device.vkey")
    try:
        if name.endswith(".tlog-proof") and key_path is not None:
            record, _ = check_proof(path.read_text(encoding="utf-8"), read_verifier(key_path.read_text()))
            return "" if f"{record.seq}.tlog-proof" == parts[-1] else "proves another record"
        if parts[-1] == "consistency.json":
            return _growth(path, there.get(f"{parts[0]}/{parts[1]}/checkpoints.jsonl"), key_path)
    except SealError as error:
        return str(error)
    except (OSError, ValueError, msgspec.DecodeError, RecursionError):
        return "cannot be read"
    return None


def _growth(path: Path, notes: Path | None, key_path: Path | None) -> str:
    if notes is None or key_path is None:
        return "the checkpoints it is about are missing"
    key = read_verifier(key_path.read_text())
    signed: set[tuple[int, bytes]] = set()
    for line in notes.read_bytes().splitlines():
        note = str(msgspec.json.decode(line, type=dict[str, str]).get("note", ""))
        checkpoint = read_checkpoint(note)
        if checkpoint is None or not key.signed(note):
            return "a checkpoint is not signed by the key of the log"
        one = Signed(checkpoint, note)
        signed.add((one.checkpoint.size, one.checkpoint.root))
    for step in msgspec.json.decode(path.read_bytes(), type=list[_Step]):
        old, new = base64.b64decode(step.old_root), base64.b64decode(step.new_root)
        if (step.old_size, old) not in signed or (step.new_size, new) not in signed:
            return "speaks of a checkpoint that was not signed"
        growth = Growth(step.old_size, old, step.new_size, new)
        if not is_consistent(growth, [base64.b64decode(one) for one in step.proof]):
            return f"the log of {step.new_size} records does not continue that of {step.old_size}"
    return ""
