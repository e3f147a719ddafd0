"""Signs what a log holds, time after time, and tells whether the log still is what was signed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final

import msgspec

from compliance.chain import Flaw, FlawKind
from compliance.merkle import EMPTY, Hash, Tree, leaf_hash
from compliance.note import (
    Checkpoint,
    SealError,
    Verifier,
    device_key,
    is_key_of,
    read_checkpoint,
    read_regular,
    read_verifier,
)
from compliance.segments import NOTES_NAME, Snapshot, lines, snapshot
from execpolicy.values import frozen

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


@frozen
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
                note = _note(line)
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


def _note(line: bytes) -> str:
    """The note of a line that is as we write it; empty for any other."""
    try:
        found = msgspec.json.decode(line, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return found.note if msgspec.json.encode(found) + b"\n" == line else ""


def own_verifier(folder: Path) -> Verifier | None:
    """The key that the log in `folder` says it is signed with."""
    try:
        return read_verifier(read_regular(folder / VKEY_NAME).decode())
    except (OSError, UnicodeDecodeError, SealError):  # none that could have signed anything
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
        replace_file(folder / VKEY_NAME, f"{signer.verifier}\n".encode())
        os.write(notes, msgspec.json.encode(_Line(note)) + b"\n")
        os.fsync(notes)
        state = _State(tree.size, [peak.hex() for peak in tree.peaks], *place)
        replace_file(folder / STATE_NAME, msgspec.json.encode(state))
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
        state = msgspec.json.decode(read_regular(folder / STATE_NAME), type=_State)
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


def replace_file(path: Path, data: bytes) -> None:
    """All of it or nothing."""
    draft = path.with_name(path.name + ".new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.replace(path)


class Roots:
    """The roots of a log at the sizes that are asked for, and where it stood then, from one pass over its lines."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self._wanted = frozenset(sizes)
        self._tree = Tree()
        self.at: dict[int, tuple[Hash, str, int]] = {}  # root, segment, end in it

    @property
    def size(self) -> int:
        return self._tree.size

    def feed(self, segment: str, end: int, line: bytes) -> None:
        """One whole line, line end included."""
        tree = self._tree
        tree.add(leaf_hash(line[:-1]))
        if tree.size in self._wanted:
            self.at[tree.size] = (tree.root(), segment, end)

    def flaws(self, signed: Sequence[Signed], trusted: Verifier | None) -> tuple[Flaw, ...]:
        """What is not as it was signed. Without `trusted` only roots are compared, not signatures."""
        flaws = []
        for number, one in enumerate(signed, 1):
            size = one.checkpoint.size
            if trusted is not None and not (
                one.checkpoint.origin == trusted.name and trusted.signed(one.note)
            ):
                message = f"the checkpoint over {size} records is not signed by {trusted.name}"
            elif size > self.size:
                message = f"a checkpoint was signed over {size} records, and there are {self.size}"
            elif self.at.get(size, (EMPTY,))[0] != one.checkpoint.root:
                message = f"the first {size} records are not those that were signed"
            else:
                continue
            flaws.append(_flaw(size, NOTES_NAME, number, message))
        return tuple(flaws)


def compare(log: Snapshot, signed: Sequence[Signed], trusted: Verifier | None) -> tuple[Flaw, ...]:
    """What in `log` is not as it was signed. Without `trusted` only roots are compared, not signatures."""
    roots = Roots(one.checkpoint.size for one in signed)
    for segment, end, line in leaves(log) if signed else ():
        roots.feed(segment, end, line + b"\n")
    return roots.flaws(signed, trusted)


@frozen
class Keeping:
    """What a log holds to be signed with: read before it is checked, judged after."""

    signed: tuple[Signed, ...]
    key: Verifier | None  # the one that the log says it is signed with
    state: tuple[int, tuple[str, ...], str, int] | None
    flaws: tuple[Flaw, ...]

    @property
    def sizes(self) -> Iterator[int]:
        yield from (one.checkpoint.size for one in self.signed)
        if self.state is not None:
            yield self.state[0]

    def judged(self, roots: Roots, trusted: Verifier | None) -> tuple[Flaw, ...]:
        """All that is wrong with checkpoints and keys. Without `trusted` no signature is looked at."""
        flaws = (*self.flaws, *roots.flaws(self.signed, trusted))
        if self.state is None or not self.signed:
            return flaws
        size, peaks, segment, offset = self.state
        last = self.signed[-1].checkpoint.size
        if size > last:
            message = f"a checkpoint over {size} records was written and is not there"
            return (*flaws, _flaw(size, NOTES_NAME, len(self.signed), message))
        found = roots.at.get(size)
        tree = Tree(size, [bytes.fromhex(peak) for peak in peaks])
        if found is None or (tree.root(), segment, offset) != found:
            return (*flaws, _flaw(size, STATE_NAME, 1, "it does not fit the log"))
        return flaws


def keeping(folder: Path) -> Keeping:
    """The checkpoints, keys and the saved tree in `folder`, each byte of them as it was written or told as a flaw."""
    flaws: list[Flaw] = []
    signed = _sound_notes(folder, flaws)
    key = own_verifier(folder)
    if key is not None and _bytes(folder / VKEY_NAME) != f"{key}\n".encode():
        flaws.append(_flaw(0, VKEY_NAME, 1, "it is not as it was written"))
    if bool(signed) != (key is not None):
        message = (
            f"checkpoints and key of `{folder}` do not belong together: one is missing, or no such thing"
        )
        flaws.append(_flaw(0, NOTES_NAME, 0, message))
    private = _bytes(folder / KEY_NAME)
    if private is not None and key is not None and not is_key_of(private, key):
        flaws.append(
            _flaw(0, KEY_NAME, 1, f"it is not the private key of {key.name}, or not as it was written")
        )
    saved = _bytes(folder / STATE_NAME)
    state = _read_state(saved) if saved is not None else None
    if saved is not None and state is None:
        flaws.append(_flaw(0, STATE_NAME, 1, "it is not as it was written"))
    return Keeping(tuple(signed), key, state, tuple(flaws))


def _sound_notes(folder: Path, flaws: list[Flaw]) -> list[Signed]:
    path = folder / NOTES_NAME
    found: list[Signed] = []
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise SealError(f"`{path}` is no ordinary file", "move it away: it is not ours")
    for number, line in enumerate(BytesIO(_bytes(path) or b""), 1):
        note = _note(line)
        checkpoint = read_checkpoint(note)
        if checkpoint is None and line.endswith(b"\n"):  # else a crash left it: nobody was told of it
            flaws.append(_flaw(0, NOTES_NAME, number, "it is no checkpoint, or not as it was written"))
        elif checkpoint is not None and found and checkpoint.size <= found[-1].checkpoint.size:
            flaws.append(_flaw(checkpoint.size, NOTES_NAME, number, "it stands after a later checkpoint"))
        elif checkpoint is not None:
            found.append(Signed(checkpoint, note))
    return found


def _bytes(path: Path) -> bytes | None:
    try:
        return read_regular(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SealError(f"cannot read `{path}`: {error.strerror}", "run as its owner") from error


def _read_state(data: bytes) -> tuple[int, tuple[str, ...], str, int] | None:
    try:
        state = msgspec.json.decode(data, type=_State)
        Tree(state.size, [bytes.fromhex(peak) for peak in state.peaks])
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None
    if msgspec.json.encode(state) != data or any(bytes.fromhex(peak).hex() != peak for peak in state.peaks):
        return None
    return state.size, tuple(state.peaks), state.segment, state.offset


def _flaw(seq: int, file: str, line: int, message: str) -> Flaw:
    return Flaw(kind=FlawKind.CHECKPOINT, seq=seq, segment=file, line=line, message=message)
