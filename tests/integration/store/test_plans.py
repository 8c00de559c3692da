"""What is done for every envelope, pick-up and log-in costs the same at any size: no statement reads a whole table.

Run on SQLite with the statements as they are really made; its planner reads a table from end to end in silence, for
instance for a row value IN a list, where PostgreSQL would use the same index that SQLite has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from gateway.ids import EnsName, EnvelopeId, NativeId
from gateway.store.accounts import AccountOf
from gateway.store.admins import AddAdmin, Admin, AdminsOf, DropAdmin, IsAdmin
from gateway.store.api_keys import AddApiKey, ApiKey, ApiKeyOf, NoteApiKeyUse, RevokeApiKey
from gateway.store.audit import Audit, AuditEntry, AuditPage, LatestEntries
from gateway.store.backlog import BacklogOf, LanesOf, NewestWaiting, SendersTo, WakeLanes
from gateway.store.bulk import NamesAmong, PutNames, WholeZone
from gateway.store.engine import sqlite_path
from gateway.store.failed import (
    Failure,
    FailuresOf,
    ForgetFailures,
    KeepFailed,
    KeptMessages,
    LastFailure,
    RetryFailed,
)
from gateway.store.idempotency import ClaimRequest, DropClaim, ForgetAnswers, KeepAnswer
from gateway.store.identities import IdentitiesNamed, IdentityNamed
from gateway.store.intake import Arrival, TakeArrivals
from gateway.store.jobs import Enqueue
from gateway.store.lanes import Finished, FinishJob, LaneJobs, LeaseLanes
from gateway.store.links import IdentityBearing, IdentityOwning, TryLinkCode, UnlinkName
from gateway.store.mailbox import (
    AcceptEnvelope,
    Acknowledge,
    AcknowledgeIds,
    CountMailbox,
    DropEnvelope,
    GetEnvelope,
    IsWaiting,
    PickUp,
)
from gateway.store.messagemap import (
    ConversationKnown,
    HashesOf,
    LinksOfPerson,
    NativeOf,
    NewestReceived,
)
from gateway.store.names import ListNames, NameNamed, NamesEnding, NamesLike, NamesNamed, NamesOf, PutName
from gateway.store.op import Op, Query
from gateway.store.ownership import RefuseAlike, ReplaceName, TakeName, TakenFor
from gateway.store.requests import RefuseSender
from gateway.store.reservations import ReservationOf
from gateway.store.schema import metadata
from gateway.store.sessions import ConsumeChallenge, TokenSubject
from gateway.store.sqlite import sqlite_engine
from gateway.store.status import StatusesOfSender
from gateway.store.usage import MailboxNames, MailboxUsage, Quota, Usage
from gateway.store.webhooks import (
    AddWebhook,
    DropWebhook,
    News,
    SwitchWebhook,
    TellWebhooks,
    Webhook,
    WebhookOf,
    WebhooksOf,
)
from tests.integration.store.values import (
    ALICE,
    BOB,
    BOB_ADDRESS,
    EMAIL,
    NOW,
    Sql,
    encrypted_hash,
    envelope,
    job,
    lane,
    message_hash,
    name_row,
)

ROOM = Quota(Usage(1000, 1_000_000), Usage(1000, 1_000_000))
PAIRS = tuple((ALICE, message_hash(number)) for number in range(3))
GW = EnsName("gw.eth")
HOOK = Webhook("hook", GW, "https://gw.example", (), b"", NOW)
IDS = tuple(envelope(number).id for number in range(3))

OPS: list[Op[Any]] = [
    AcceptEnvelope(envelope(101), quota=ROOM),
    AcceptEnvelope(envelope(102), job()),
    Acknowledge(BOB_ADDRESS, PAIRS, (BOB, ALICE)),
    AcknowledgeIds(BOB_ADDRESS, IDS, (BOB,)),
    DropEnvelope(IDS[1]),
    RefuseSender(BOB_ADDRESS, ALICE, (BOB,)),
    ConsumeChallenge(b"digest", "bob.eth", "login", NOW),
    Enqueue(job()),
    TakeArrivals("event:email", tuple(Arrival(key, job()) for key in ("a", "b", "")), NOW),
    TakeName(name_row("bob.gw.eth"), 0),
    RefuseAlike(TakenFor(EnsName("new.gw.eth"), "new.gw.eth", bool)),
    ReplaceName(name_row("carol.gw.eth")),
    Audit(AuditEntry(NOW, "gateway", "name.claimed", "bob.gw.eth")),
    TryLinkCode(EnsName("bob.gw.eth"), BOB_ADDRESS, b"digest", NOW, 5),
    UnlinkName(EnsName("bob.gw.eth")),
    AddApiKey(ApiKey("new", b"digest", "", GW, (), "operator", NOW)),
    RevokeApiKey(GW, "key", NOW),
    NoteApiKeyUse("key", NOW, NOW),
    AddAdmin(Admin(GW, BOB_ADDRESS, NOW)),
    DropAdmin(GW, BOB_ADDRESS),
    ClaimRequest("key:1", "again", b"request", NOW, NOW - 1, NOW - 2),
    KeepAnswer("key:1", "again", NOW, 200, "{}"),
    DropClaim("key:1", "again", NOW),
    ForgetAnswers(NOW, 10),
    AddWebhook(Webhook("new", GW, "https://x.example", (), b"", NOW)),
    DropWebhook(GW, "hook"),
    SwitchWebhook(GW, "hook", NOW),
    KeepFailed(Failure(EMAIL, BOB, ALICE, NativeId("1"), "", NOW), b"x"),
    RetryFailed(((1, job()),)),
    ForgetFailures(NOW, 10),
    WakeLanes((lane(),), NOW),
    PutNames((name_row("bob.gw.eth"), name_row("carol.gw.eth")), 0, overwrite=True),
    TellWebhooks(GW, (News("name.claimed", b"{}"),), NOW, NOW + 1),
]
QUERIES: list[Query[Any]] = [
    PickUp(BOB_ADDRESS, NOW, 100, sender=ALICE, names=(BOB, ALICE)),
    PickUp(BOB_ADDRESS, NOW, 100, after_seq=5),
    CountMailbox(BOB_ADDRESS),
    GetEnvelope(IDS[1]),
    IsWaiting(IDS[1]),
    MailboxUsage(BOB_ADDRESS),
    MailboxNames(BOB_ADDRESS, 100),
    TokenSubject(b"digest", NOW),
    AccountOf(BOB_ADDRESS),
    IdentityNamed(BOB),
    IdentitiesNamed((BOB, ALICE)),
    NameNamed(BOB),
    NamesNamed((BOB, ALICE)),
    NamesNamed((BOB, ALICE)),
    NamesOf(BOB_ADDRESS, 10),
    NamesLike("bob.gw.eth", 10),
    TakenFor(EnsName("bob.gw.eth"), "bob.gw.eth", bool),
    NamesEnding(EnsName("gw.eth"), NOW, 3, 10),
    ListNames(EnsName("gw.eth"), 10),
    ListNames(EnsName("gw.eth"), 10, without=(EnsName("deep.gw.eth"),)),
    ReservationOf(BOB),
    AuditPage(5, 10),
    LatestEntries(BOB, 10),
    LatestEntries(BOB, 10, ("name.claimed", "name.set")),
    IdentityOwning(BOB),
    IdentityBearing(BOB),
    LaneJobs(lane(), 10),
    FailuresOf(EMAIL, BOB, 10, ALICE),
    KeptMessages(EMAIL, BOB, None, 0, 9, 10),
    LastFailure(EMAIL, BOB),
    BacklogOf(BOB),
    LanesOf(BOB, NOW, 10),
    SendersTo(BOB_ADDRESS, 10),
    NewestWaiting(BOB_ADDRESS, ALICE),
    StatusesOfSender(EMAIL, BOB, 10),
    LinksOfPerson(EMAIL, BOB, 10),
    NewestReceived(EMAIL, "c"),
    NativeOf(EMAIL, encrypted_hash(1)),
    HashesOf(EMAIL, NativeId("1")),
    ConversationKnown(EMAIL, "c"),
    ApiKeyOf("key"),
    IsAdmin(GW, BOB_ADDRESS),
    AdminsOf(GW, 10),
    WebhookOf("hook"),
    WebhooksOf(GW, 10),
    NamesAmong((BOB, ALICE), ("a", "b")),
    WholeZone(EnsName("gw.eth"), 10),
]


def driver_of(conn: Connection) -> Any:
    return conn.connection.driver_connection


def named(value: object) -> str:
    return type(value).__name__


class Plans:
    """How SQLite does what is executed on one connection."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.texts: list[str] = []

    def note(self, statement: str) -> None:
        """A statement with its values, as SQLite begins it."""
        self.texts.append(statement)

    def steps(self) -> list[str]:
        """Of all statements so far."""
        driver, texts = driver_of(self.conn), list(self.texts)
        return [row[3] for text in texts for row in driver.execute(f"EXPLAIN QUERY PLAN {text}")]

    def walks(self) -> list[str]:
        """Steps that go through a table or a whole index of it."""
        return [step for step in self.steps() if step.split()[0] == "SCAN" and step.split()[1] in metadata.tables]


@pytest.fixture
def engine(sqlite_store_url: str) -> Iterator[Engine]:
    engine = sqlite_engine(sqlite_path(sqlite_store_url), begin="BEGIN IMMEDIATE", connections=1)
    yield engine
    engine.dispose()


@pytest.fixture
def plans(engine: Engine) -> Iterator[Plans]:
    with engine.connect() as conn, conn.begin():
        AcceptEnvelope.apply_many(conn, [AcceptEnvelope(envelope(number), quota=ROOM) for number in range(100)])
        PutName(name_row("carol.gw.eth")).apply(conn)
        AddWebhook(HOOK).apply(conn)
        ClaimRequest("key:1", "again", b"request", NOW, 0, 0).apply(conn)
        plans = Plans(conn)
        driver_of(conn).set_trace_callback(plans.note)
        yield plans


@pytest.mark.parametrize("op", OPS, ids=named)
def test_operations_use_an_index(plans: Plans, op: Op[Any]) -> None:
    op.apply(plans.conn)
    assert plans.texts
    assert plans.walks() == []


def test_envelopes_that_are_taken_together_use_an_index(plans: Plans) -> None:
    some = [AcceptEnvelope(envelope(number), quota=ROOM) for number in range(90, 110)]
    assert AcceptEnvelope.apply_many(plans.conn, some) == [False] * 10 + [True] * 10
    assert plans.walks() == []


def test_envelopes_that_are_refused_use_an_index(plans: Plans) -> None:
    full = Quota(Usage(100, 1_000_000), Usage(100, 1_000_000))
    AcceptEnvelope.apply_many(plans.conn, [AcceptEnvelope(envelope(number), quota=full) for number in range(200, 220)])
    assert plans.walks() == []


@pytest.mark.parametrize("query", QUERIES, ids=named)
def test_queries_use_an_index(plans: Plans, query: Query[Any]) -> None:
    query.run(plans.conn)
    assert plans.texts
    assert plans.walks() == []


def test_lanes_that_are_leased_and_end_together_use_an_index(plans: Plans) -> None:
    for number in range(40):
        Enqueue(job(number, lane=lane(number % 20))).apply(plans.conn)
    leases = LeaseLanes("w1", NOW, 30_000, 10, own=5).apply(plans.conn)
    first = [FinishJob(each, each.first.id, NOW) for each in leases if each.first is not None]
    following = [each.next for each in FinishJob.apply_many(plans.conn, first) if isinstance(each, Finished)]
    assert len(following) == 10
    assert None not in following
    assert plans.walks() == []


def test_ids_are_acknowledged_without_reading_the_mailbox(plans: Plans) -> None:
    """However many they are: the planner takes few for as many rows as a mailbox has."""
    ids = tuple(envelope(number).id for number in range(50))
    assert AcknowledgeIds(BOB_ADDRESS, ids).apply(plans.conn) == 50
    assert [step for step in plans.steps() if "envelopes_mailbox" in step] == []


@pytest.mark.parametrize("number", [1, 90])
def test_hashes_are_acknowledged_by_their_own_indexes(plans: Plans, number: int) -> None:
    pairs = tuple((ALICE, digest(n)) for n in range(number) for digest in (message_hash, encrypted_hash))
    assert Acknowledge(BOB_ADDRESS, pairs).apply(plans.conn) == number
    used = [step for step in plans.steps() if " envelopes USING " in step]
    assert {step.split(" INDEX ")[1].split()[0] for step in used} == {"envelopes_by_message", "envelopes_by_encrypted"}


def test_a_walk_through_a_table_would_be_seen(plans: Plans) -> None:
    Sql("SELECT count(*) FROM envelopes WHERE sender = 'x'").run(plans.conn)
    assert len(plans.walks()) == 1
    GetEnvelope(EnvelopeId("x")).run(plans.conn)
    assert len(plans.walks()) == 1
