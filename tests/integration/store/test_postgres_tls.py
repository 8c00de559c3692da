"""The way to a PostgreSQL on another machine: without a certificate that holds nothing is said."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme

from gateway.errors import Unavailable
from gateway.store.postgres import connect, tls_of

ELSEWHERE = "127.1"
"""An address of this machine that does not look like one."""


@pytest.mark.attack(43)
@pytest.mark.parametrize(
    ("url", "verified"),
    [
        ("postgresql://u@db.example/d", True),
        ("postgresql://u:p@192.0.2.1:5432/d", True),
        ("postgresql://u@localhost,db.example/d", True),
        ("postgresql://u@db.example/d?sslmode=disable", False),
        ("postgresql://u@db.example/d?sslmode=verify-full&sslrootcert=/ca.pem", False),
        ("postgresql://u@127.0.0.1:5432/d", False),
        ("postgresql://u@[::1]:5432/d", False),
        ("postgresql://u@localhost/d", False),
        ("postgresql:///d", False),
        ("postgresql://u@/d?host=/var/run/postgresql", False),
        ("postgresql://u@/d?host=/one,/two", False),
        ("postgresql://u@/d?host=localhost,db.example", True),
        ("postgresql://u@/d?host=/one,db.example&target_session_attrs=read-write", True),
    ],
)
def test_who_is_verified(url: str, verified: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    context = tls_of(url)
    assert (context is not None) == verified
    if context is not None:
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.attack(43)
@pytest.mark.parametrize("offers", [b"S", b"N"])
async def test_a_server_that_cannot_prove_itself_hears_nothing(offers: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a certificate of nobody's, or without any; the password stays here."""
    monkeypatch.delenv("PGSSLMODE", raising=False)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert(ELSEWHERE, "db.example").configure_cert(context)
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == bytes.fromhex("0000000804d2162f")  # SSLRequest
        writer.write(offers)
        try:
            if offers == b"S":
                await writer.start_tls(context)
            heard.extend(await reader.read(4096))
        except (OSError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable):
            await connect(f"postgresql://user:geheim@{ELSEWHERE}:{port}/database")
    assert b"user" not in heard
