"""pg_dump and pg_restore: what they are told, and that they tell nobody who is not the server."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.errors import Unavailable
from gateway.store.postgres_programs import authorities, run_program, without_password
from tests.support.postgres import PostgresServer

ELSEWHERE = "postgresql://user:geheim@db.example:{port}/database?hostaddr=127.0.0.1"
"""A server that does not look like one of this machine, and is."""


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGSSLMODE", "PGSSLROOTCERT", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that writes down what it was told."""
    program, file = tmp_path / "bin" / "pg_told", tmp_path / "told.json"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "trusted = os.environ.get('PGSSLROOTCERT')\n"
        "content = open(trusted).read() if trusted and os.path.exists(trusted) else None\n"
        f"json.dump([sys.argv[1:], dict(os.environ), content], open({str(file)!r}, 'w'))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))
    return file


def ask(told: Path, url: str) -> tuple[list[str], Mapping[str, str], str | None]:
    asyncio.run(run_program("pg_told", url, "--verbose"))
    arguments, environment, trusted = json.loads(told.read_text())
    return arguments, environment, trusted


@pytest.mark.attack(43)
def test_a_server_elsewhere_must_prove_itself(told: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """To the same authorities as it does for a node."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    arguments, environment, trusted = ask(told, "postgresql://u:p%40ss@db.example/d")
    assert arguments == ["--dbname=postgresql://u@db.example/d", "--verbose"]
    assert (environment["PGSSLMODE"], environment["PGPASSWORD"]) == ("verify-full", "p@ss")
    assert trusted is not None
    assert authority.cert_pem.bytes().decode() in trusted
    assert not Path(environment["PGSSLROOTCERT"]).exists()


@pytest.mark.parametrize(
    "url",
    ["postgresql://u@127.0.0.1/d", "postgresql:///d?host=/run", "postgresql://u@db.example/d?sslmode=require"],
)
def test_where_libpq_s_own_rules_apply(told: Path, url: str) -> None:
    _, environment, _ = ask(told, url)
    assert not {"PGSSLMODE", "PGSSLROOTCERT"} & set(environment)


def test_what_the_operator_says_stays(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", "/our/ca.pem")
    _, environment, _ = ask(told, "postgresql://u@db.example/d")
    assert (environment["PGSSLMODE"], environment["PGSSLROOTCERT"]) == ("verify-full", "/our/ca.pem")
    monkeypatch.setenv("PGSSLMODE", "require")
    _, environment, _ = ask(told, "postgresql://u@db.example/d")
    assert environment["PGSSLMODE"] == "require"


def test_authorities_of_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a system has no file with all of them: those that OpenSSL would find, and nothing else."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing"))
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'none'}:{tmp_path}")
    trustme.CA().cert_pem.write_to_path(tmp_path / "0123abcd.0")
    (tmp_path / "89abcdef.1").symlink_to(tmp_path / "gone")
    (tmp_path / "README").write_text("not a certificate")
    assert authorities() == (tmp_path / "0123abcd.0").read_bytes()


@asynccontextmanager
async def server(context: ssl.SSLContext | None, heard: bytearray) -> AsyncIterator[int]:
    """Takes what a client says once TLS stands, or at once when there is none; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readexactly(8) == bytes.fromhex("0000000804d21630"):  # GSSENCRequest
                writer.write(b"N")
            writer.write(b"N" if context is None else b"S")
            if context is not None:
                await writer.start_tls(context)
            heard.extend(await reader.read(4096))
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


@pytest.fixture
def programs(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the system, which speak TLS: the package's are built without."""
    if shutil.which("pg_dump") is None:
        monkeypatch.setenv("PATH", str(postgres_server._bin))


@pytest.mark.attack(43)
@pytest.mark.parametrize("proof", ["nobody's", "none", "of an authority"])
@pytest.mark.usefixtures("programs")
async def test_a_server_that_cannot_prove_itself_hears_nothing(
    proof: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority, heard = trustme.CA(), bytearray()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("db.example").configure_cert(context)
    if proof == "of an authority":
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with server(None if proof == "none" else context, heard) as port:
        with pytest.raises(Unavailable, match="pg_dump failed") as caught:
            await run_program("pg_dump", ELSEWHERE.format(port=port), "--schema-only")
    if "not compiled in" in caught.value.detail:
        pytest.skip("this pg_dump speaks no TLS")
    assert (b"user" in heard) == (proof == "of an authority")


async def test_who_is_cancelled_ends_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "pg_slow"
    program.write_text(f"#!{sys.executable}\nimport time\nopen({str(tmp_path / 'begun')!r}, 'w')\ntime.sleep(600)\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    task: asyncio.Task[Any] = asyncio.create_task(run_program("pg_slow", "postgresql:///d"))
    while not (tmp_path / "begun").exists():
        assert not task.done()
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 60)


def test_a_password_is_not_seen_by_others() -> None:
    assert without_password("postgresql://u:p%40ss@h:5432/db?sslmode=require") == (
        "postgresql://u@h:5432/db?sslmode=require", "p@ss",
    )  # fmt: skip
    assert without_password("postgresql://u@/db?host=/run&password=x") == ("postgresql://u@/db?host=/run", "x")
    assert without_password("postgresql:///db") == ("postgresql:///db", None)
