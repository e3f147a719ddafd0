"""What a witness signs: C2SP cosignatures (Ed25519) over the checkpoint of a log, with their time."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from compliance.note import SealError, Signer, is_signature, parted

_COSIGNATURE: Final = b"\x04"
_LATEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Witness:
    """Name and public key of a witness that is trusted."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + _COSIGNATURE + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_COSIGNATURE + self.public).decode()}"

    def cosigned(self, note: str) -> int | None:
        """When this witness cosigned `note` last, in seconds since 1970; None: it did not, or a signature of it
        is not good."""
        pieces = parted(note)
        if pieces is None:
            return None
        text, signatures = pieces
        times = []
        for name, data in signatures:
            if name == self.name and data[:4] == self.id:
                time = int.from_bytes(data[4:12], "big")
                if time > _LATEST or not is_signature(self.public, data[12:], _message(text, time)):
                    return None
                times.append(time)
        return max(times, default=None)


def read_witness(text: str) -> Witness:
    """The key of a text such as `name+1234abcd+BA...`."""
    try:
        name, id, key = text.strip().split("+", 2)
        data = base64.b64decode(key, validate=True)
    except ValueError:
        raise SealError(
            f"`{text[:80]}` is no key of a witness", "`agent audit witness serve` prints it"
        ) from None
    found = Witness(name, data[1:])
    if data[:1] != _COSIGNATURE or len(data) != 33 or found.id.hex() != id:
        raise SealError(
            f"`{text[:80]}` is no Ed25519 key of a witness", "`agent audit witness serve` prints it"
        )
    return found


@dataclass(frozen=True, slots=True)
class Cosigner:
    """The key of a witness."""

    name: str
    signer: Signer

    @property
    def witness(self) -> Witness:
        return Witness(self.name, self.signer.verifier.public)

    def cosign(self, text: str, time: int) -> str:
        """The signature line over the text of a checkpoint, line end included."""
        signature = self.signer.key.sign(_message(text, time))
        data = self.witness.id + time.to_bytes(8, "big") + signature
        return f"— {self.name} {base64.b64encode(data).decode()}\n"


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
