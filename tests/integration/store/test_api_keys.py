"""Keys of programs, and wallets that look after a parent."""

from __future__ import annotations

from dataclasses import replace

from gateway.ids import EnsName
from gateway.store import Store
from gateway.store.admins import AddAdmin, Admin, AdminsOf, DropAdmin, IsAdmin
from gateway.store.api_keys import AddApiKey, ApiKey, ApiKeyOf, ListApiKeys, NoteApiKeyUse, RevokeApiKey
from tests.integration.store.values import NOW, address

GW, OTHER = EnsName("gw.eth"), EnsName("other.eth")
KEY = ApiKey("aa", b"d" * 32, "Shop ✓", GW, ("names:read", "names:write"), "operator", NOW, NOW + 9)


async def test_a_key_is_kept_found_and_ended(store: Store) -> None:
    theirs = replace(KEY, id="bb", digest=b"e" * 32, parent=OTHER, scopes=(), expires_at=None)
    for key in (theirs, KEY):
        await store.commit(AddApiKey(key))
        assert await store.read(ApiKeyOf(key.id)) == key
    assert await store.read(ApiKeyOf("cc")) is None
    assert await store.read(ListApiKeys(GW, 9)) == [KEY]
    assert await store.read(ListApiKeys(GW, 9, KEY.id)) == []
    assert await store.commit(RevokeApiKey(OTHER, KEY.id, NOW)) is False
    assert await store.commit(RevokeApiKey(GW, KEY.id, NOW + 1)) is True
    assert await store.commit(RevokeApiKey(GW, KEY.id, NOW + 2)) is False
    assert await store.read(ApiKeyOf(KEY.id)) == replace(KEY, revoked_at=NOW + 1)
    assert await store.read(ApiKeyOf(theirs.id)) == theirs
    assert "dddd" not in repr(KEY)


async def test_the_last_use_is_written_now_and_then(store: Store) -> None:
    await store.commit(AddApiKey(KEY))
    assert await store.commit(NoteApiKeyUse(KEY.id, NOW, NOW - 60)) is True
    assert await store.commit(NoteApiKeyUse(KEY.id, NOW + 59, NOW - 1)) is False
    assert await store.commit(NoteApiKeyUse(KEY.id, NOW + 60, NOW)) is True
    found = await store.read(ApiKeyOf(KEY.id))
    assert found is not None
    assert found.used_at == NOW + 60


async def test_admins_are_those_of_one_parent(store: Store) -> None:
    ann, bob = sorted((address("ann"), address("bob")))
    for admin in (Admin(GW, bob, NOW), Admin(GW, ann, NOW), Admin(OTHER, ann, NOW)):
        assert await store.commit(AddAdmin(admin)) is True
        assert await store.commit(AddAdmin(replace(admin, created_at=5))) is False
    assert await store.read(AdminsOf(GW, 9)) == [Admin(GW, ann, NOW), Admin(GW, bob, NOW)]
    assert await store.read(IsAdmin(OTHER, bob)) is False
    assert await store.commit(DropAdmin(GW, ann)) is True
    assert await store.commit(DropAdmin(GW, ann)) is False
    assert await store.read(IsAdmin(GW, ann)) is False
    assert await store.read(IsAdmin(OTHER, ann)) is True
