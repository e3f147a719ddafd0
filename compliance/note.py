"""Signed notes and checkpoints of C2SP, with Ed25519. The only importer of `cryptography`."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from compliance.errors import ComplianceError
from compliance.merkle import Hash
from execpolicy.values import frozen

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519: Final = b"\x01"
_SIGNATURE: Final = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")
_PEM: Final = (b"-----BEGIN PRIVATE KEY-----\n", b"\n-----END PRIVATE KEY-----\n")
_PKCS8: Final = bytes.fromhex("302e020100300506032b657004220420")  # what stands before the key of RFC 8410
MOST_SIGNATURES: Final = 64


class SealError(ComplianceError):
    """A key, a note or a proof that cannot be used."""


@frozen
class Verifier:
    """A name and a public key that are trusted together."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        """The usual text form of a note's key."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    def signed(self, note: str) -> bool:
        """Whether `note` carries a good signature of this key; one bad signature of it spoils the note."""
        pieces = parted(note)
        if pieces is None:
            return False
        text, signatures = pieces
        mine = [data[4:] for name, data in signatures if name == self.name and data[:4] == self.id]
        return bool(mine) and all(is_signature(self.public, one, text.encode()) for one in mine)


def is_signature(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is of `message` by the Ed25519 key `public`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def read_verifier(text: str) -> Verifier:
    """The key of a text such as `name+1234abcd+AQ...`."""
    try:
        name, id, key = text.strip().split("+", 2)
        data = base64.b64decode(key, validate=True)
    except ValueError:
        raise SealError(f"`{text[:80]}` is no key of a log", "it looks like `name+1234abcd+AQ...`") from None
    found = Verifier(name, data[1:])
    if data[:1] != _ED25519 or len(data) != 33 or found.id.hex() != id:
        raise SealError(f"`{text[:80]}` is no Ed25519 key of a log", "copy it from `device.vkey`")
    return found


@frozen
class Signer:
    """The key of this machine. It names itself, so that two machines never sign under one name."""

    key: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        public = self.key.public_key().public_bytes_raw()
        return Verifier(f"policy-agent.audit/{hashlib.sha256(public).hexdigest()[:16]}", public)

    def sign(self, text: str) -> str:
        """`text`, which ends in a line end, as a signed note."""
        verifier = self.verifier
        signature = base64.b64encode(verifier.id + self.key.sign(text.encode())).decode()
        return f"{text}\n— {verifier.name} {signature}\n"


def read_regular(path: Path) -> bytes:
    """What is in `path`. OSError also for what is no ordinary file: a pipe would be waited for, a device has no end."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no ordinary file")
        return file.read()


def device_key(path: Path) -> Signer:
    """The key in `path`, made on first use, for its owner's eyes only."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        raise SealError("signing is not installed", "install policy-agent[seal]") from None
    try:
        try:
            data = read_regular(path)
        except FileNotFoundError:
            _write_once(path, _as_file(Ed25519PrivateKey.generate()))
            data = read_regular(path)
        key = _from_file(data)
    except OSError as error:
        raise SealError(
            f"cannot use the key `{path}`: {error.strerror}", "make it readable for you"
        ) from error
    except (ValueError, TypeError) as error:
        raise SealError(f"`{path}` is no private key", "move it away; a new one is made") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SealError(f"`{path}` is no Ed25519 key", "move it away; a new one is made")
    return Signer(key)


def is_key_of(data: bytes, verifier: Verifier) -> bool:
    """Whether `data` is the file of the private key of `verifier`, as written. True where that cannot be told."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        return True
    try:
        key = _from_file(data)
    except (ValueError, TypeError):
        return False
    return (
        isinstance(key, Ed25519PrivateKey)
        and _as_file(key) == data
        and key.public_key().public_bytes_raw() == verifier.public
    )


def _as_file(key: Ed25519PrivateKey) -> bytes:
    """PKCS #8 in PEM, RFC 8410: by hand, for what reads and writes every kind of key takes 3 MB."""
    return _PEM[0] + base64.b64encode(_PKCS8 + key.private_bytes_raw()) + _PEM[1]


def _from_file(data: bytes) -> object:
    """The key in a file: as it is written here, or in any other form. ValueError and TypeError for what is none."""
    if data.startswith(_PEM[0]) and data.endswith(_PEM[1]):
        inner = base64.b64decode(data[len(_PEM[0]) : -len(_PEM[1])], validate=True)
        if inner.startswith(_PKCS8) and len(inner) == len(_PKCS8) + 32:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

            return Ed25519PrivateKey.from_private_bytes(inner[len(_PKCS8) :])
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(data, None)


def _write_once(path: Path, data: bytes) -> None:
    """All of it or nothing, and whoever comes first wins."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


@frozen
class Checkpoint:
    """What a log commits to: so many records, with this root."""

    origin: str
    size: int
    root: Hash

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def read_checkpoint(note: str) -> Checkpoint | None:
    """The checkpoint in a signed note, its signatures not looked at; None when there is none."""
    pieces = parted(note)
    lines = pieces[0].split("\n") if pieces else []
    if len(lines) < 4 or "" in lines[:-1] or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
        return None
    root = _from_base64(lines[2])
    return Checkpoint(lines[0], int(lines[1]), root) if root is not None and len(root) == 32 else None


def _from_base64(text: str) -> bytes | None:
    """None when it is none, or not the one text for these bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error is one; so is text that is no ASCII
        return None
    return data if base64.b64encode(data).decode() == text else None


def parted(note: str) -> tuple[str, list[tuple[str, bytes]]] | None:
    """The signed text, and the signatures under it."""
    text, blank, under = note.rpartition("\n\n")
    lines = under.split("\n")
    if not blank or lines.pop() != "" or not 0 < len(lines) <= MOST_SIGNATURES:
        return None
    found = []
    for line in lines:
        match = _SIGNATURE.fullmatch(line)
        if match is None:
            return None
        data = _from_base64(match[2])
        if data is None:
            return None
        found.append((match[1], data))
    return f"{text}\n", found
