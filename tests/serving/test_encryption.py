"""Who reaches an encrypted server."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from pipelines.failures.errors import DataError
from pipelines.serving.encryption import encryption
from pipelines.settings.serving import Serving


def signed_by_itself(folder: Path, name: str) -> str:
    """A PEM file with a key and its certificate for this machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = folder / f"{name}.pem"
    path.write_bytes(key.private_bytes(pem, *plain) + certificate.public_bytes(pem))
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    return {name: signed_by_itself(tmp_path, name) for name in ("server", "caller", "stranger")}


@pytest.fixture
def url(files: dict[str, str]) -> Iterator[str]:
    app = FastAPI()

    @app.get("/")
    async def answer() -> str:
        return "here"

    settings = Serving(tls_certificate=files["server"], tls_callers=files["caller"])
    config = uvicorn.Config(app, log_level="critical", **encryption(settings))
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


def caller(files: dict[str, str], name: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files["server"])
    if name is not None:
        context.load_cert_chain(files[name])
    return context


def test_only_callers_with_a_certificate_of_the_authority_are_let_in(
    url: str, files: dict[str, str]
) -> None:
    assert httpx.get(url, verify=caller(files, "caller")).json() == "here"
    for name in (None, "stranger"):
        with pytest.raises(httpx.TransportError):
            httpx.get(url, verify=caller(files, name))


def test_without_a_certificate_nothing_is_encrypted() -> None:
    assert encryption(Serving()) == {}


def test_a_file_that_is_missing_is_named(files: dict[str, str], tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.pem")
    with pytest.raises(DataError, match=r"gone\.pem"):
        encryption(Serving(tls_certificate=files["server"], tls_callers=gone))
    with pytest.raises(ValueError, match="need tls_certificate"):
        Serving(tls_callers=files["caller"])
