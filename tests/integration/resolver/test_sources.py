"""Records from a real database and real keys: people, claimed names, the delivery service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.custody.identities import Identities as Drafts
from gateway.custody.keyring import Keyring
from gateway.custody.seed import MasterSeed
from gateway.dm3.eth import address_bytes
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.profile import (
    DeliveryServiceProfile,
    SignedProfile,
    parse_data_uri,
    parse_service_profile,
    parse_signed_profile,
    verify_profile,
)
from gateway.ens.escapes import BridgedName
from gateway.ens.names import namehash
from gateway.errors import Unavailable
from gateway.ids import CanonicalId, EnsName, Network
from gateway.resolver.records import DEFAULT_EVM, NameRecords
from gateway.resolver.rows import Rows
from gateway.resolver.sources import (
    DELIVERY_SERVICE_KEY,
    PROFILE_KEY,
    Fixed,
    Identities,
    Names,
    delivery_service_records,
)
from gateway.store import Store
from gateway.store.identities import IdentitiesNamed, Identity, IssueIdentity, ShredIdentity
from gateway.store.migrate import upgrade
from gateway.store.names import NameRow, NamesNamed, PutName

PARENT = EnsName("gw.eth")
NETWORKS = frozenset({Network("matrix"), Network("email")})
KEYRING = Keyring(MasterSeed(b"\x01" * 32), delivery_services=(EnsName("ds.gw.eth"),), max_ttl_ms=1_000)
DRAFTS = Drafts(KEYRING, PARENT)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty database."""
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    await asyncio.to_thread(upgrade, url)
    opened = await Store.open(url)
    yield opened
    await opened.close()


def profile_of(identity: Identity) -> SignedProfile:
    return KEYRING.keys(identity).signed_profile


def people(store: Store) -> Identities:
    return Identities(Rows(store, IdentitiesNamed), PARENT, NETWORKS, profile_of)


async def issue(store: Store, network: str, address: str, display_name: str = "") -> Identity:
    draft = DRAFTS.draft(Network(network), address, now_ms=1, display_name=display_name)
    return await store.commit(IssueIdentity(draft))


async def test_a_person_has_an_address_and_a_profile_signed_by_it(store: Store) -> None:
    bob = await issue(store, "matrix", "@bob:example.org", "Bob 💩")
    assert bob.name == "bob.example.org.matrix.gw.eth"
    records = await people(store).find(bob.name)
    assert records is not None
    assert records.address == address_bytes(bob.address)
    assert records.coin(60) == records.coin(DEFAULT_EVM) == records.coin(DEFAULT_EVM | 8453) == records.address
    assert records.coin(0) == b""
    signed = parse_signed_profile(parse_data_uri(records.texts[PROFILE_KEY], 4096))
    assert verify_profile(signed, bob.address)
    assert signed.profile.delivery_services == ("ds.gw.eth",)
    assert (records.texts["name"], records.texts["alias"]) == ("Bob 💩", "Bob 💩")


async def test_no_display_name_is_no_record(store: Store) -> None:
    bob = await issue(store, "matrix", "@bob:example.org")
    records = await people(store).find(bob.name)
    assert records is not None
    assert set(records.texts) == {PROFILE_KEY}


async def test_an_id_too_long_for_its_name_is_found_by_the_table(store: Store) -> None:
    bob = await issue(store, "matrix", "@" + "b" * 100 + ":example.org")
    assert "-z" in bob.name
    assert await people(store).find(bob.name) is not None
    other = await issue(store, "matrix", "@" + "b" * 101 + ":example.org")
    assert other.name != bob.name


@pytest.mark.parametrize(
    "name",
    [
        "bob.example.org.email.gw.eth",
        "alice.example.org.matrix.gw.eth",
        "bob.example.org.xmpp.gw.eth",
        "bob.example.org.matrix.other.eth",
        "bob-62.example.org.matrix.gw.eth",
        "bob.gw.eth",
        "gw.eth",
    ],
)
async def test_names_of_nobody(store: Store, name: str) -> None:
    await issue(store, "matrix", "@bob:example.org")
    assert await people(store).find(EnsName(name)) is None


async def test_a_network_that_is_switched_off(store: Store) -> None:
    bob = await issue(store, "xmpp", "bob@example.org")
    assert await people(store).find(bob.name) is None


async def test_a_deleted_person_has_no_records(store: Store) -> None:
    bob = await issue(store, "matrix", "@bob:example.org")
    assert await store.commit(ShredIdentity(bob.id, 2, "tombstone"))
    assert await people(store).find(bob.name) is None


async def test_somebody_who_never_wrote_can_be_admitted(store: Store) -> None:
    asked: list[BridgedName] = []

    async def admit(bridged: BridgedName) -> Identity | None:
        asked.append(bridged)
        return await issue(store, bridged.network, bridged.canonical_id or "") if bridged.network == "email" else None

    source = Identities(Rows(store, IdentitiesNamed), PARENT, NETWORKS, profile_of, admit)
    name = EnsName("bob-2esmith.example.org.email.gw.eth")
    records = await source.find(name)
    assert records is not None
    assert PROFILE_KEY in records.texts
    assert await source.find(name) == records
    assert await source.find(EnsName("bob.example.org.matrix.gw.eth")) is None
    assert await source.find(EnsName("bob-62.example.org.email.gw.eth")) is None
    assert await source.find(EnsName("b-z" + "a" * 26 + ".example.org.email.gw.eth")) is None
    assert [bridged.canonical_id for bridged in asked] == [
        CanonicalId("bob.smith@example.org"),
        CanonicalId("@bob:example.org"),
    ]


async def test_names_with_rows(store: Store) -> None:
    name = EnsName("vanity.gw.eth")
    row = NameRow(
        name=name,
        node=namehash(name),
        owner=None,
        address=b"\x01" * 20,
        coins={0: b"\x00\x14" + b"\x02" * 20},
        texts={"url": "https://example.org", "ключ": "💩"},
        contenthash=b"\xe3\x01",
        created_at=1,
        updated_at=1,
    )
    await store.commit(PutName(row))
    found = await Names(Rows(store, NamesNamed)).find(name)
    assert found == NameRecords(row.address, row.coins, row.texts, row.contenthash)
    assert await Names(Rows(store, NamesNamed)).find(EnsName("other.gw.eth")) is None


async def test_the_delivery_service() -> None:
    profile = DeliveryServiceProfile.of(ServiceKeys.from_seeds(b"\x01" * 32, b"\x02" * 32), "https://gw.example/ds")
    source = Fixed({EnsName("ds.gw.eth"): delivery_service_records(profile)})
    records = await source.find(EnsName("ds.gw.eth"))
    assert records is not None
    assert parse_service_profile(parse_data_uri(records.texts[DELIVERY_SERVICE_KEY], 4096)) == profile
    assert await source.find(EnsName("x.gw.eth")) is None


async def test_a_database_that_is_gone_is_no_empty_record(store: Store) -> None:
    bob = await issue(store, "matrix", "@bob:example.org")
    await store.close()
    with pytest.raises(Unavailable):
        await people(store).find(bob.name)
    with pytest.raises(Unavailable):
        await Names(Rows(store, NamesNamed)).find(bob.name)
