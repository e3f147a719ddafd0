"""The file of a key is what every program reads and writes, though it is read and written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from compliance.note import SealError, device_key, is_key_of

pytest.importorskip("cryptography")
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


def test_a_new_key_is_pkcs8_in_pem(tmp_path: Path) -> None:
    made = device_key(tmp_path / "key")
    data = (tmp_path / "key").read_bytes()
    read = load_pem_private_key(data, None)
    assert isinstance(read, Ed25519PrivateKey)
    assert read.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) == data
    assert read.private_bytes_raw() == made.key.private_bytes_raw()
    assert is_key_of(data, made.verifier)


def test_a_key_that_another_program_wrote_is_read(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for written in (data, data.replace(b"\n", b"\r\n"), b"a note before it\n" + data):
        (tmp_path / "key").write_bytes(written)
        assert device_key(tmp_path / "key").key.private_bytes_raw() == key.private_bytes_raw()


@pytest.mark.parametrize("change", [(b"PRIVATE", b"PUBLIC"), (b"MC4CAQ", b"MC4CAR"), (b"MC4CAQ", b"!!!!!!")])
def test_what_is_no_key_is_told(tmp_path: Path, change: tuple[bytes, bytes]) -> None:
    device_key(tmp_path / "key")
    data = (tmp_path / "key").read_bytes()
    (tmp_path / "key").write_bytes(data.replace(*change))
    with pytest.raises(SealError, match="is no private key"):
        device_key(tmp_path / "key")
