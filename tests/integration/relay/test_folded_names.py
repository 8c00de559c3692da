"""Names that clients of the reference generation fold or refuse: here each is its own, and keeps its own mailbox."""

from __future__ import annotations

import pytest

from gateway.dm3.envelope import envelope_id
from gateway.ens.names import nameprep_safe
from gateway.ids import EnsName
from tests.integration.relay.clients import logged_in, submit
from tests.support.house import House

SHARP, FOLDED = "faß.eth", "fass.eth"


@pytest.mark.weakness(18)
async def test_two_names_that_nameprep_folds_into_one_have_two_mailboxes(house: House) -> None:
    sender = await house.native("alice.eth", "alice")
    sharp, folded = await house.native(SHARP, "bob"), await house.native(FOLDED, "carol")
    to_sharp = await submit(house, sender, sharp, "for the one")
    to_folded = await submit(house, sender, folded, "for the other")
    for client, account, envelope in ((sharp, "bob", to_sharp), (folded, "carol", to_folded)):
        api = await logged_in(house, client, account)
        (found,) = await api.mailbox()
        assert (found["id"], found["recipient"]) == (envelope_id(client.address, envelope), client.name)


@pytest.mark.weakness(18)
@pytest.mark.parametrize("name", ["💩.eth", "👨‍👩‍👧.eth", "-a.eth"])
async def test_names_that_nameprep_refuses_send_and_receive(house: House, name: str) -> None:
    assert not nameprep_safe(EnsName(name))
    strange, alice = await house.native(name, "bob"), await house.native("alice.eth", "alice")
    sent = await submit(house, strange, alice, "from it", account="bob")
    came = await submit(house, alice, strange, "to it")
    for client, account, envelope in ((alice, "alice", sent), (strange, "bob", came)):
        (found,) = await (await logged_in(house, client, account)).mailbox()
        assert found["id"] == envelope_id(client.address, envelope)
