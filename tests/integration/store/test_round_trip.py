"""Whatever text and bytes a value holds, it comes back the same from both databases (properties)."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ids import CanonicalId, EnsName, EnvelopeId, LaneKey, NativeId
from gateway.store import Store
from gateway.store.aliases import AliasTarget, PutAlias
from gateway.store.failed import Failure, FailuresOf, KeepFailed, KeptMessages
from gateway.store.identities import IdentityNamed, IdentityOf, IssueIdentity
from gateway.store.intake import Arrival, TakeArrivals
from gateway.store.jobs import NewJob
from gateway.store.lanes import Enqueue, LaneJobs
from gateway.store.mailbox import AcceptEnvelope, Acknowledge, GetEnvelope, PickUp
from gateway.store.messagemap import HashesOf, MapMessage, NativeOf
from gateway.store.names import ListNames, NameNamed, NameRow, PutName
from gateway.store.sessions import IssueToken, Session, TokenSubject
from gateway.store.status import SetStatus, Status, StatusOf
from tests.integration.store.values import EMAIL, NOW, address, digest, envelope, identity, link

PROPERTY = settings(
    max_examples=30,
    deadline=None,
    # Each example uses keys of its own, so that one database serves all of them.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=200)
TRICKY = st.sampled_from(["'; DROP TABLE jobs --", "%s", ":name", "?", "$1", "\\", '"', "{}", "İ", "ﬀ", "\u202e", "🎈"])
ANY = TEXT | TRICKY
BYTES = st.binary(max_size=2000)
TIMES = st.integers(0, 2**63 - 1)

fresh = itertools.count()


@PROPERTY
@given(body=BYTES, sender=ANY, verified=st.booleans(), digest_=ANY)
async def test_envelopes(store: Store, body: bytes, sender: str, verified: bool, digest_: str) -> None:
    number = next(fresh)
    sent = replace(
        envelope(number, recipient=address(number), body=body),
        sender=EnsName(sender),
        verified=verified,
        message_hash=digest_,
    )
    assert await store.commit(AcceptEnvelope(sent)) is True
    [picked] = await store.read(PickUp(sent.recipient, NOW, 10))
    assert replace(picked, seq=0) == sent
    assert await store.read(PickUp(sent.recipient, NOW, 10, sender=sent.sender)) == [picked]
    assert await store.commit(Acknowledge(sent.recipient, ((sent.sender, digest_),))) == 1
    assert await store.read(GetEnvelope(sent.id)) is None


@PROPERTY
@given(conversation=ANY, kind=ANY, payload=BYTES, created_at=TIMES, expires_at=TIMES, envelope_=st.none() | ANY)
async def test_jobs(
    store: Store, conversation: str, kind: str, payload: bytes, created_at: int, expires_at: int, envelope_: str | None
) -> None:
    which = LaneKey(f"{next(fresh)}:{conversation}")
    about = None if envelope_ is None else EnvelopeId(envelope_)
    new = NewJob(which, kind, payload, created_at, expires_at, about)
    number = await store.commit(Enqueue(new))
    assert await store.commit(TakeArrivals("s", (Arrival("", new),), expires_at)) == 1
    [queued, arrived] = await store.read(LaneJobs(which, 10))
    assert (queued.id, queued.lane, queued.kind, queued.payload) == (number, which, kind, payload)
    assert (queued.created_at, queued.expires_at, queued.envelope) == (created_at, expires_at, about)
    assert replace(arrived, id=number) == queued


@PROPERTY
@given(person=ANY, display_name=ANY, salt=BYTES)
async def test_identities(store: Store, person: str, display_name: str, salt: bytes) -> None:
    number = next(fresh)
    draft = identity(number, canonical_id=CanonicalId(f"{number}{person}"), display_name=display_name, sealed_salt=salt)
    issued = await store.commit(IssueIdentity(draft))
    assert (issued.canonical_id, issued.display_name, issued.sealed_salt) == (draft.canonical_id, display_name, salt)
    assert await store.read(IdentityOf(EMAIL, draft.canonical_id)) == issued
    assert await store.read(IdentityNamed(draft.name)) == issued


COINS = st.dictionaries(st.integers(0, 2**256 - 1), st.binary(max_size=64), max_size=5)
TEXTS = st.dictionaries(st.text(max_size=20), st.text(), max_size=5)


@PROPERTY
@given(coins=COINS, texts=TEXTS, contenthash=st.none() | BYTES)
async def test_names(store: Store, coins: dict[int, bytes], texts: dict[str, str], contenthash: bytes | None) -> None:
    number = next(fresh)
    parent = EnsName(f"p{number}.eth")
    name = EnsName(f"bob.{parent}")
    node = bytes.fromhex(digest("node", number))
    row = NameRow(name, node, None, b"a" * 20, coins, texts, contenthash, NOW, NOW)
    assert await store.commit(PutName(row)) is True
    assert await store.read(NameNamed(name)) == row
    assert await store.read(ListNames(parent, 10)) == [row]


@PROPERTY
@given(native=ANY, conversation=ANY, digest_=ANY)
async def test_links(store: Store, native: str, conversation: str, digest_: str) -> None:
    number = next(fresh)
    mapped = link(
        number, native_id=NativeId(f"{number}{native}"), conversation=conversation, encrypted_hash=f"{number}{digest_}"
    )
    await store.commit(MapMessage(mapped))
    assert await store.read(HashesOf(EMAIL, mapped.native_id)) == [mapped]
    assert await store.read(HashesOf(EMAIL, mapped.native_id, conversation)) == [mapped]
    assert await store.read(NativeOf(EMAIL, mapped.encrypted_hash)) == [mapped]


@PROPERTY
@given(native=ANY, recipient=ANY, state=ANY, reason=ANY, at=TIMES)
async def test_statuses(store: Store, native: str, recipient: str, state: str, reason: str, at: int) -> None:
    id_ = NativeId(f"{next(fresh)}{native}")
    await store.commit(SetStatus(EMAIL, id_, recipient, state, reason, at))
    assert await store.read(StatusOf(EMAIL, id_, recipient)) == Status(state, reason, at)


@PROPERTY
@given(native=ANY, recipient=ANY, reason=ANY, payload=BYTES, at=TIMES)
async def test_failed_messages(store: Store, native: str, recipient: str, reason: str, payload: bytes, at: int) -> None:
    sender = EnsName(f"p{next(fresh)}.email.gw.eth")
    failure = Failure(EMAIL, sender, EnsName(recipient), NativeId(native), reason, at)
    await store.commit(KeepFailed(failure, payload))
    [found] = await store.read(FailuresOf(EMAIL, sender, 9, failure.recipient))
    assert replace(found, id=0) == failure
    [kept] = await store.read(KeptMessages(EMAIL, sender, None, 0, found.id, 9))
    assert kept.payload == payload


@PROPERTY
@given(alias=ANY, target=ANY, name=ANY)
async def test_aliases_and_tokens(store: Store, alias: str, target: str, name: str) -> None:
    number = next(fresh)
    await store.commit(PutAlias(EMAIL, f"{number}{alias}", target))
    assert await store.read(AliasTarget(EMAIL, f"{number}{alias}")) == target
    token = bytes.fromhex(digest("token", number))
    await store.commit(IssueToken(token, EnsName(name), address(number), token, NOW + 1))
    assert await store.read(TokenSubject(token, NOW)) == Session(EnsName(name), address(number), token)
