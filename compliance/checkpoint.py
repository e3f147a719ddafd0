"""Signs what a log holds, time after time, and tells whether the log still is what was signed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from compliance.chain import Flaw, FlawKind
from compliance.merkle import Hash, Tree, leaf_hash
from compliance.note import (
    Checkpoint,
    SealError,
    Verifier,
    device_key,
    read_checkpoint,
    read_verifier,
)
from compliance.segments import NOTES_NAME, Snapshot, lines, snapshot

KEY_NAME: Final = "device.key"
VKEY_NAME: Final = "device.vkey"
STATE_NAME: Final = "checkpoints.state"


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tree at the last checkpoint, and where in the log it ended. Only saves time: it proves nothing."""

    size: int
    peaks: list[str]
    segment: str
    offset: int


class _Line(msgspec.Struct, frozen=True):
    note: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint and the note that carries it."""

    checkpoint: Checkpoint
    note: str


def leaves(log: Snapshot, after: tuple[str, int] = ("", 0)) -> Iterator[tuple[str, int, bytes]]:
    """Segment, end and text of each whole line from a place in the log on; a line is a leaf of the tree."""
    names = [path.name for path, _ in log.parts]
    skip = names.index(after[0]) if after[0] in names else 0
    for path, size in log.parts[skip:]:
        at = after[1] if path.name == after[0] else 0
        for line in lines(path, size, at):
            at += len(line)
            if line.endswith(b"\n"):
                yield path.name, at, line[:-1]


def signed_checkpoints(folder: Path) -> list[Signed]:
    """Every checkpoint of a log, oldest first. SealError for a line that is none."""
    path = folder / NOTES_NAME
    found: list[Signed] = []
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise SealError(f"`{path}` is no ordinary file", "move it away: it is not ours")
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):  # a crash left it; nobody was told of it
                    break
                try:
                    note = msgspec.json.decode(line, type=_Line).note
                except msgspec.DecodeError:
                    note = ""
                checkpoint = read_checkpoint(note)
                if checkpoint is None:
                    raise SealError(
                        f"{path.name}:{number} is no checkpoint", "compare it with a copy elsewhere"
                    )
                found.append(Signed(checkpoint, note))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SealError(f"cannot read `{path}`: {error.strerror}", "run as its owner") from error
    return found


def own_verifier(folder: Path) -> Verifier | None:
    """The key that the log in `folder` says it is signed with."""
    try:
        return read_verifier((folder / VKEY_NAME).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def advance(folder: Path) -> Signed | None:
    """Sign what the log in `folder` holds now; None when that is signed already.

    SealError when the log is not what was signed before: nothing that contradicts a checkpoint is ever signed.
    """
    log = snapshot(folder)
    signer = device_key(folder / KEY_NAME)
    with _held(folder / NOTES_NAME) as notes:
        past = signed_checkpoints(folder)
        last = past[-1].checkpoint if past else None
        tree, place = _grown(log, folder, last)
        if tree.size == (last.size if last else 0):
            return None
        checkpoint = Checkpoint(signer.verifier.name, tree.size, tree.root())
        note = signer.sign(checkpoint.text())
        _replace(folder / VKEY_NAME, f"{signer.verifier}\n".encode())
        os.write(notes, msgspec.json.encode(_Line(note)) + b"\n")
        os.fsync(notes)
        state = _State(tree.size, [peak.hex() for peak in tree.peaks], *place)
        _replace(folder / STATE_NAME, msgspec.json.encode(state))
        return Signed(checkpoint, note)


def _grown(log: Snapshot, folder: Path, last: Checkpoint | None) -> tuple[Tree, tuple[str, int]]:
    """The tree of the whole log. From the saved one when that is what was signed, else from the first record."""
    tree, place = _saved(folder, last) if last else (Tree(), ("", 0))
    if place[0] and place[0] not in {path.name for path, _ in log.parts}:
        tree, place = Tree(), ("", 0)
    agrees = last is None or tree.size == last.size
    for segment, end, line in leaves(log, place):
        tree.add(leaf_hash(line))
        place = segment, end
        if last is not None and tree.size == last.size:
            agrees = tree.root() == last.root
    if not agrees:
        raise SealError("the log is not what was signed before", "see `agent audit verify`")
    return tree, place


def _saved(folder: Path, last: Checkpoint) -> tuple[Tree, tuple[str, int]]:
    try:
        state = msgspec.json.decode((folder / STATE_NAME).read_bytes(), type=_State)
        tree = Tree(state.size, [bytes.fromhex(peak) for peak in state.peaks])
    except (OSError, msgspec.DecodeError, ValueError):
        return Tree(), ("", 0)
    if (tree.size, tree.root()) != (last.size, last.root):
        return Tree(), ("", 0)
    return tree, (state.segment, state.offset)


@contextmanager
def _held(path: Path) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise SealError(f"cannot write `{path}`: {error.strerror}", "make it writable for you") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        whole = path.read_bytes().rfind(b"\n") + 1
        os.ftruncate(fd, whole)
        yield fd
    except OSError as error:
        raise SealError(f"cannot write `{path}`: {error.strerror}", "make it writable for you") from error
    finally:
        os.close(fd)


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_name(path.name + ".new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.replace(path)


def compare(log: Snapshot, signed: Sequence[Signed], trusted: Verifier | None) -> tuple[Flaw, ...]:
    """What in `log` is not as it was signed. Without `trusted` only roots are compared, not signatures."""
    flaws = []
    roots: dict[int, Hash] = {}
    wanted = {one.checkpoint.size for one in signed}
    tree = Tree()
    for _, _, line in leaves(log) if signed else ():
        tree.add(leaf_hash(line))
        if tree.size in wanted:
            roots[tree.size] = tree.root()
    for number, one in enumerate(signed, 1):
        size = one.checkpoint.size
        if trusted is not None and not (one.checkpoint.origin == trusted.name and trusted.signed(one.note)):
            message = f"the checkpoint over {size} records is not signed by {trusted.name}"
        elif size > tree.size:
            message = f"a checkpoint was signed over {size} records, and there are {tree.size}"
        elif roots.get(size) != one.checkpoint.root:
            message = f"the first {size} records are not those that were signed"
        else:
            continue
        flaws.append(
            Flaw(kind=FlawKind.CHECKPOINT, seq=size, segment=NOTES_NAME, line=number, message=message)
        )
    return tuple(flaws)
