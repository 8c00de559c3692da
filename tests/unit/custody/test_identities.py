"""From a person of another network to a draft with name and keys, and back from the name."""

from __future__ import annotations

import pytest

from gateway.custody.identities import Identities
from gateway.custody.keyring import Keyring
from gateway.custody.seed import MasterSeed
from gateway.errors import InvalidInput, UnknownName
from gateway.ids import EnsName, Network

PARENT = EnsName("gw.eth")


@pytest.fixture
def identities() -> Identities:
    keyring = Keyring(MasterSeed(b"\x01" * 32), delivery_services=(EnsName("ds.gw.eth"),), max_ttl_ms=1)
    return Identities(keyring, PARENT)


@pytest.mark.parametrize(
    ("network", "foreign", "canonical", "name"),
    [
        ("matrix", "@bob:example.org", "@bob:example.org", "bob.example.org.matrix.gw.eth"),
        ("email", "Bob.Smith@Example.org", "bob.smith@example.org", "bob-2esmith.example.org.email.gw.eth"),
        ("xmpp", "bob@jabber.org/phone", "bob@jabber.org", "bob.jabber.org.xmpp.gw.eth"),
    ],
)
def test_draft_and_back(identities: Identities, network: str, foreign: str, canonical: str, name: str) -> None:
    draft = identities.draft(Network(network), foreign, now_ms=5, display_name="Bob")
    assert (draft.network, draft.canonical_id, draft.name) == (network, canonical, name)
    assert (draft.display_name, draft.created_at, draft.epoch) == ("Bob", 5, 0)
    person = identities.person(draft.name)
    assert (person.network, person.canonical_id) == (network, canonical)


@pytest.mark.parametrize(
    ("network", "foreign"), [("matrix", "bob"), ("email", "bob"), ("xmpp", "jabber.org"), ("email", "")]
)
def test_no_person(identities: Identities, network: str, foreign: str) -> None:
    with pytest.raises(InvalidInput):
        identities.draft(Network(network), foreign, now_ms=5)


@pytest.mark.parametrize(
    "name", ["gw.eth", "matrix.gw.eth", "bob.example.org.matrix.other.eth", "BOB.example.org.matrix.gw.eth"]
)
def test_nobodys_name(identities: Identities, name: str) -> None:
    with pytest.raises(UnknownName):
        identities.person(EnsName(name))
