"""Checks of `doctor` that need a world of their own: both databases, certificates, plain http."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from gateway.errors import GatewayError
from gateway.ids import LaneKey
from gateway.operations.checks.certificate import tls
from gateway.operations.checks.wire import redirect_of
from gateway.operations.installation import Answers, create_installation
from gateway.sdk import Finding, State
from gateway.settings import load_settings
from gateway.store import Store
from gateway.store.jobs import Enqueue, NewJob
from gateway.store.leases import AcquireLease
from gateway.store.queue import AddHeld
from tests.integration.ens.servers import Asked, response, scripted
from tests.support.examining import be_patient, changed, examined, finding, installation
from tests.support.postgres import PostgresServer, database_of

MINUTE = 60_000
ANSWERS = Answers(parent="gw.eth", public_url="https://localhost", rpc_url="https://eth.example")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return create_installation(tmp_path / "new", ANSWERS)


async def database(config: Path, url: str) -> tuple[Finding, ...]:
    settings = changed(load_settings(config, {}), store={"url": url})
    return (await examined(settings, config, "store"))["store"]


def job(lane: str, store: Store, age: int, due: int | None = None) -> NewJob:
    now = store.clock()
    return NewJob(LaneKey(lane), "kind", b"", now - age, now + 10**9, due_at=due)


async def test_what_waits_and_what_was_set_aside(store: Store, store_url: str, config: Path) -> None:
    """On both databases; what is to be done in a month is not late."""
    found = await database(config, store_url)
    assert {each.check for each in found if each.state is not State.OK} <= {"durability"}
    # The database of the tests does not wait for the disk.
    told = finding(found, "durability")
    assert (told.state, "fsync is off" in told.found) == (
        (State.OK, False) if store.dialect == "sqlite" else (State.FAIL, True)
    )
    assert {"disk", "reachable", "schema", "durability", "nodes", "held", "waiting"} <= {each.check for each in found}

    await store.commit(Enqueue(job("email:a", store, 90 * MINUTE, store.clock() + 10**9)))
    assert finding(await database(config, store_url), "waiting").state is State.OK
    await store.commit(Enqueue(job("matrix:a", store, 90 * MINUTE)))
    await store.commit(AddHeld(job("matrix:a", store, 0), "cannot be read"))
    found = await database(config, store_url)
    late, held = finding(found, "waiting"), finding(found, "held")
    assert (late.state, held.state) == (State.WARN, State.WARN)
    assert late.found == "1 wait, the oldest for 1:30:00, for matrix"
    assert held.found == "set aside, not delivered: 1 for matrix"


async def test_two_nodes_on_one_file(store: Store, store_url: str, config: Path) -> None:
    for name, owner in (("housekeeping", "one"), ("terms", "two")):
        await store.commit(AcquireLease(name, owner, store.clock(), MINUTE))
    nodes = finding(await database(config, store_url), "nodes")
    assert "one, two" in nodes.found
    assert nodes.state is (State.FAIL if store.dialect == "sqlite" else State.OK)


async def test_commits_that_do_not_wait_for_the_disk(
    postgres_server: PostgresServer, postgres_url: str, config: Path
) -> None:
    name = database_of(postgres_url)
    postgres_server.sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    told = finding(await database(config, postgres_url), "durability")
    assert (told.state, "synchronous_commit" in told.found) == (State.FAIL, True)


async def test_a_database_without_tables(postgres_url: str, config: Path) -> None:
    told = finding(await database(config, postgres_url), "schema")
    assert (told.state, "empty" in told.found) == (State.FAIL, True)


# --- TLS --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def https(certificate: trustme.LeafCert) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)

    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response())

    async with scripted(script, context) as server:
        yield server.url("", host="localhost", scheme="https").rstrip("/")


async def judged(config: Path, certificate: trustme.LeafCert, ca: trustme.CA) -> Finding:
    trusted = ssl.create_default_context()
    ca.configure_trust(trusted)
    async with https(certificate) as url:
        settings = changed(load_settings(config, {}), server={"public_url": url})
        (told,) = await tls(installation(settings, config), trusted)
        return told


async def test_certificates(config: Path) -> None:
    ca = trustme.CA()
    soon = datetime.now(UTC) + timedelta(days=5)
    past = datetime.now(UTC) - timedelta(days=1)
    assert (await judged(config, ca.issue_cert("localhost"), ca)).state is State.OK
    ending = await judged(config, ca.issue_cert("localhost", not_after=soon), ca)
    assert (ending.state, ending.found) == (State.WARN, "it holds for 4 days only")
    over = ca.issue_cert("localhost", not_before=past - timedelta(days=9), not_after=past)
    for certificate, authority, told in (
        (over, ca, "expired"),
        (ca.issue_cert("other.example"), ca, "localhost"),
        (trustme.CA().issue_cert("localhost"), ca, "unable to get"),
    ):
        found = await judged(config, certificate, authority)
        assert (found.state, told in found.found) == (State.FAIL, True), found


async def test_where_plain_http_leads() -> None:
    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(308, b"", "text/plain", ("Location", "https://localhost/")))

    async with scripted(script) as server:
        assert await redirect_of("127.0.0.1", server.port) == (308, "https://localhost/")


async def test_what_is_no_http_is_no_answer() -> None:
    async def script(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")

    async with scripted(script) as server:
        with pytest.raises((OSError, GatewayError)):
            await redirect_of("127.0.0.1", server.port)
