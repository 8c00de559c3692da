"""Servers that let the component write into contact lists (XEP-0356): contacts come without questions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.demo.xmpp_user import Stanza
from tests.integration.xmpp.worlds import XmppWorld, words, xmpp_world
from tests.support.ejabberd import ejabberd_server
from tests.support.prosody import prosody_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("xmpp")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def granting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[XmppWorld]:
    folder = tmp_path_factory.mktemp("granting")
    async with prosody_server(folder / "server", privilege=True) as server, xmpp_world(folder, server) as running:
        yield running


def asks(stanza: Stanza) -> bool:
    return stanza.type == "subscribe"


async def test_whoever_writes_first_is_a_contact_at_once(granting: XmppWorld) -> None:
    alice, native = await granting.person(), await granting.native()
    contact = granting.contact(native)
    await alice.roster()
    await native.send(granting.name_of(alice), "hello")
    pushed = await alice.wait_iq(lambda iq: iq.type == "set" and iq.get("query/item", "jid") == contact)
    assert (pushed.get("query/item", "subscription"), pushed.get("query/item", "name")) == ("both", native.name)
    assert pushed.text("query/item/group") == "DM3"
    await alice.wait_text("hello", contact)
    await alice.wait_presence(lambda stanza: stanza.bare == contact and stanza.type == "available")
    await alice.send(contact, "hello yourself")
    assert words((await granting.mail(native))[0]) == "hello yourself"
    assert not any(asks(each) for each in alice.presences.items)


async def test_who_adds_a_name_is_not_asked_in_return(granting: XmppWorld) -> None:
    alice, native = await granting.person(), await granting.native()
    contact = granting.contact(native)
    await alice.roster()
    await alice.subscribe(contact)
    await alice.wait_iq(
        lambda iq: iq.get("query/item", "jid") == contact and iq.get("query/item", "subscription") == "both"
    )
    assert not any(asks(each) for each in alice.presences.items)
    other = await granting.native()
    await alice.send(granting.server.component, f"chat {other.name}")
    await alice.wait_message(lambda each: granting.contact(other) in (each.body or ""))
    assert (await alice.roster())[granting.contact(other)].subscription == "both"


async def test_what_somebody_made_of_an_entry_stays(granting: XmppWorld) -> None:
    alice, native = await granting.person(), await granting.native()
    contact = granting.contact(native)
    await alice.set_roster(contact, "My friend")
    await native.send(granting.name_of(alice), "hello")
    await alice.wait_text("hello", contact)
    entry = (await alice.roster())[contact]
    assert (entry.subscription, entry.name, entry.groups) == ("both", "My friend", ())


@pytest.mark.asyncio(loop_scope="function")
async def test_where_the_server_fails_to_do_what_it_grants_people_are_asked(tmp_path: Path) -> None:
    """ejabberd 23.01 grants access to rosters, and answers every change with internal-server-error."""
    async with ejabberd_server(tmp_path / "server", privilege=True) as server, xmpp_world(tmp_path, server) as world:
        alice, native = await world.person(), await world.native()
        await native.send(world.name_of(alice), "hello")
        await alice.wait_subscribe(world.contact(native))
        await alice.wait_text("hello", world.contact(native))
