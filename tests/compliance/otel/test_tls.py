"""Telemetry over TLS: to a collector whose certificate a private authority signed, and to nobody else."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compliance.otel.telemetry import telemetry_from_environment

pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("opentelemetry.exporter.otlp.proto.common")
x509 = pytest.importorskip("cryptography.x509")

from collectors import STORY, collector  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Papers:
    """A certificate with its key, in files."""

    certificate: Path
    key: Path
    signed: Any
    signer: Any


def papers(folder: Path, name: str, by: Papers | None = None) -> Papers:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.signed.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if by is not None:
        here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = made.add_extension(x509.SubjectAlternativeName([here]), critical=False)
    signed = made.sign(by.signer if by else key, hashes.SHA256())
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return Papers(*paths, signed, key)


@pytest.mark.parametrize(
    ("known", "client", "trouble"),
    [
        pytest.param("ours", "", "", id="our-authority"),
        pytest.param("theirs", "", "is not trusted", id="another-authority"),
        pytest.param("", "", "is not trusted", id="authorities-of-the-system"),
        pytest.param("ours", "us", "", id="we-show-who-we-are"),
        pytest.param("ours", "stranger", "collector", id="a-stranger-is-sent-away"),
        pytest.param("ours", "nobody", "collector", id="nobody-is-sent-away"),
    ],
)
def test_a_private_authority(tmp_path: Path, known: str, client: str, trouble: str) -> None:
    ours, theirs = papers(tmp_path, "ours"), papers(tmp_path, "theirs")
    there = papers(tmp_path, "there", ours)
    papers(tmp_path, "us", ours)
    papers(tmp_path, "stranger", theirs)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(there.certificate, there.key)
    if client:
        context.load_verify_locations(ours.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    env = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    if known:
        env["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(tmp_path / f"{known}.pem")
    if client not in ("", "nobody"):
        env["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] = str(tmp_path / f"{client}.pem")
        env["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = str(tmp_path / f"{client}.key")
    with collector() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.url.replace("http://", "https://")
        warnings: list[str] = []
        telemetry = telemetry_from_environment(env, warnings.append, "1.2")
        assert telemetry is not None, warnings
        for seq, event in enumerate(STORY, 1):
            telemetry.observe(seq, event)
        telemetry.close()
    assert trouble in telemetry.trouble
    assert (telemetry.trouble == "", bool(server.taken.spans())) == (not trouble, not trouble)
