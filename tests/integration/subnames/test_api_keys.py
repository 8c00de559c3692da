"""Keys of programs: what they open, and everything that is no key."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from gateway.errors import InvalidInput, LimitExceeded, NotAllowed, NotFound, Unauthorised
from gateway.ids import EnsName
from gateway.rates import Rate
from gateway.store import Store
from gateway.store.api_keys import ApiKeyOf
from gateway.store.audit import AuditPage
from gateway.subnames.api_keys import ApiKeys, NewKey, is_key
from gateway.subnames.callers import EVERYTHING, Caller, CallerKind, Scope
from tests.integration.store.values import NOW, Sql, address

GW, OTHER = EnsName("gw.eth"), EnsName("other.eth")
READ = frozenset({Scope.READ})


@dataclass
class Time:
    """A clock that is set by the test."""

    now: int = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def keys(store: Store, time: Time) -> ApiKeys:
    return ApiKeys(store=store, clock=time, per_minute=0)


async def made(keys: ApiKeys, parent: EnsName = GW, scopes: frozenset[Scope] = READ, **options: int) -> NewKey:
    return await keys.make(parent, scopes, label="shop", actor="operator", **options)


async def test_a_key_opens_its_parent_with_its_scopes(keys: ApiKeys) -> None:
    new = await made(keys, scopes=frozenset({Scope.READ, Scope.CLAIM}))
    assert new.token.startswith(f"dm3k_{new.key.id}_")
    caller = await keys.caller(f"Bearer {new.token}")
    assert caller == Caller(CallerKind.KEY, new.key.id, GW, frozenset({Scope.READ, Scope.CLAIM}))
    assert caller.actor == f"key:{new.key.id}"
    assert await keys.caller(f"bearer  {new.token} ") == caller
    caller.require(Scope.CLAIM, GW)
    for scope, parent in ((Scope.WRITE, GW), (Scope.READ, OTHER), (Scope.READ, EnsName("a.gw.eth"))):
        with pytest.raises(NotAllowed) as refusal:
            caller.require(scope, parent)
        assert refusal.value.status == 403
    assert is_key(f"Bearer {new.token}")
    assert not is_key("Bearer 0123")
    assert not is_key(None)


async def test_the_token_is_nowhere(keys: ApiKeys, store: Store) -> None:
    new = await made(keys)
    secret = new.token[-43:]
    rows = await store.read(Sql("SELECT id, label, scopes, created_by FROM api_keys"))
    log = await store.read(AuditPage(0, 9))
    assert secret not in repr(rows) + repr(log) + repr(new) + repr(await keys.list(GW))
    assert len(new.key.digest) == 32
    assert secret.encode() not in new.key.digest
    assert [each.entry.action for each in log] == ["key.created"]
    assert json.loads(log[0].entry.detail) == {"key": new.key.id, "scopes": ["names:read"]}


async def test_what_is_no_key_opens_nothing(keys: ApiKeys) -> None:
    one, other = await made(keys), await made(keys, OTHER)
    swapped = f"dm3k_{one.key.id}_{other.token[-43:]}"
    for header in (
        None,
        "",
        "Bearer",
        one.token,
        f"Basic {one.token}",
        "Bearer dm3k__",
        f"Bearer {one.token}x",
        f"Bearer {one.token[:-1]}",
        f"Bearer {one.token}\n",
        f"Bearer {one.token[:-2]}Ω ",
        f"Bearer {swapped}",
        f"Bearer dm3k_{'0' * 16}_{one.token[-43:]}",
    ):
        with pytest.raises(Unauthorised) as refusal:
            await keys.caller(header)
        assert refusal.value.status == 401
        assert one.token[-43:-2] not in refusal.value.detail


async def test_a_key_ends_by_time_and_by_hand(keys: ApiKeys, time: Time, store: Store) -> None:
    short, long = await made(keys, expires_at=NOW + 10), await made(keys)
    time.now = NOW + 9
    await keys.caller(f"Bearer {short.token}")
    time.now = NOW + 10
    with pytest.raises(Unauthorised):
        await keys.caller(f"Bearer {short.token}")
    with pytest.raises(NotFound):
        await keys.revoke(OTHER, long.key.id, actor="operator")
    await keys.revoke(GW, long.key.id, actor="operator")
    with pytest.raises(Unauthorised):
        await keys.caller(f"Bearer {long.token}")
    with pytest.raises(NotFound):
        await keys.revoke(GW, long.key.id, actor="operator")
    log = await store.read(AuditPage(0, 9))
    assert [(each.entry.action, each.entry.subject) for each in log][-1] == ("key.revoked", GW)


async def test_a_parent_sees_its_own_keys(keys: ApiKeys) -> None:
    ours, theirs = await made(keys), await made(keys, OTHER)
    assert [key.id for key in await keys.list(GW)] == [ours.key.id]
    assert [key.id for key in await keys.list(OTHER)] == [theirs.key.id]


async def test_the_last_use_costs_a_write_a_minute(keys: ApiKeys, time: Time, store: Store) -> None:
    new = await made(keys)

    async def used_at() -> int | None:
        await keys.caller(f"Bearer {new.token}")
        found = await store.read(ApiKeyOf(new.key.id))
        return None if found is None else found.used_at

    assert await used_at() == NOW
    time.now = NOW + 59_999
    assert await used_at() == NOW
    time.now = NOW + 60_000
    assert await used_at() == NOW + 60_000


async def test_each_key_has_a_rate_that_strangers_cannot_use_up(store: Store, time: Time) -> None:
    keys = ApiKeys(store=store, clock=time, rate=Rate(2, clock=lambda: 0.0))
    one, other = await made(keys), await made(keys)
    for _ in range(5):
        with pytest.raises(Unauthorised):
            await keys.caller(f"Bearer dm3k_{one.key.id}_{other.token[-43:]}")
    for _ in range(2):
        await keys.caller(f"Bearer {one.token}")
    with pytest.raises(LimitExceeded):
        await keys.caller(f"Bearer {one.token}")
    await keys.caller(f"Bearer {other.token}")


async def test_keys_that_are_not_made(keys: ApiKeys) -> None:
    for scopes, label, end in (
        (frozenset[Scope](), "a", None),
        (READ, "a" * 101, None),
        (READ, "a\n", None),
        (READ, "a", NOW),
    ):
        with pytest.raises(InvalidInput):
            await keys.make(GW, scopes, label=label, actor="operator", expires_at=end)
    assert await keys.list(GW) == []


def test_other_callers() -> None:
    wallet, operator = Caller.wallet(address("a")), Caller.operator()
    assert not any(wallet.may(scope, GW) for scope in Scope)
    assert all(operator.may(scope, parent) for scope in Scope for parent in (GW, OTHER))
    admin = Caller.admin(address("a"), GW)
    assert all(admin.may(scope, GW) for scope in EVERYTHING)
    assert not any(admin.may(scope, OTHER) for scope in EVERYTHING)
    assert (wallet.actor, operator.actor) == (address("a"), "operator")
