"""An XMPP user and a native DM3 client talk, through a real Prosody and a real ejabberd."""

from __future__ import annotations

import re

import pytest

from gateway.dm3.message import MessageType
from gateway.ids import EnsName
from gateway.sdk import FileContent, Link, attachment_content, file_attachment
from tests.integration.xmpp.worlds import XmppWorld, words

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("xmpp")]


async def test_a_user_writes_to_a_name_and_gets_a_receipt_and_an_answer(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    sent = await alice.send_asking(world.contact(native), "hello from XMPP")
    await alice.wait_receipt(sent)
    (received,) = await world.mail(native)
    assert words(received) == "hello from XMPP"
    assert received.message.from_ == world.name_of(alice)
    await native.send(world.name_of(alice), "hello from DM3")
    heard = await alice.wait_text("hello from DM3", world.contact(native))
    assert heard.id.startswith("dm3-")
    await world.mail(native, kind=MessageType.READ_RECEIVED)


async def test_a_native_client_writes_first_to_somebody_who_never_wrote(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    await native.send(world.name_of(alice), "hello, stranger")
    asked = await alice.wait_subscribe(world.contact(native))
    assert asked.text("nick") == native.name
    assert "bridged" in ((await alice.wait_message(lambda stanza: stanza.bare == world.contact(native))).body or "")
    await alice.wait_text("hello, stranger", world.contact(native))
    await alice.send(world.contact(native), "hello yourself")
    (received,) = await world.mail(native)
    assert words(received) == "hello yourself"


async def test_a_message_to_nobody_of_the_server_is_told_to_its_writer(world: XmppWorld) -> None:
    native = await world.native()
    await world.adapter.reach()
    await native.send(EnsName(f"nobody-2dhere.{world.server.domain}.xmpp.gw.eth"), "anybody?")
    (told,) = await world.mail(native, kind=MessageType.REPLY)
    assert "did not reach" in words(told)
    assert re.search(r" \[trace [0-9a-f]{12}\]", words(told)), "to be quoted to the operator"


async def test_replies_corrections_reactions_and_retractions_go_both_ways(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    contact, name = world.contact(native), world.name_of(alice)
    first = await alice.send(contact, "first")
    (original,) = await world.mail(native)
    await alice.reply(contact, first, "second", "first")
    (reply,) = await world.mail(native, kind=MessageType.REPLY)
    assert (words(reply), reply.message.reference) == ("second", original.message_hash)
    await alice.correct(contact, first, "better")
    (edit,) = await world.mail(native, kind=MessageType.EDIT)
    assert (words(edit), edit.message.reference) == ("better", original.message_hash)
    await alice.react(contact, first, "\N{THUMBS UP SIGN}", "\N{PARTY POPPER}")
    one, two = await world.mail(native, 2, kind=MessageType.REACTION)
    assert [one.message.text, two.message.text] == ["\N{THUMBS UP SIGN}", "\N{PARTY POPPER}"]
    await alice.react(contact, first, "\N{PARTY POPPER}")
    (gone,) = await world.mail(native, kind=MessageType.DELETE_REQUEST)
    assert gone.message.reference == one.message_hash
    await alice.retract(contact, first)
    _, retracted = await world.mail(native, 2, kind=MessageType.DELETE_REQUEST)
    assert retracted.message.reference == original.message_hash

    ours = await native.send(name, "ours", kind=MessageType.REPLY, reference=original.message_hash)
    heard = await alice.wait_text("ours", contact)
    assert heard.get("reply", "id") == first
    await native.send(name, "ours, better", kind=MessageType.EDIT, reference=ours.message_hash)
    edited = await alice.wait_text("ours, better", contact)
    assert edited.get("replace", "id") == heard.id
    reacted = await native.send(name, "\N{THUMBS UP SIGN}", kind=MessageType.REACTION, reference=original.message_hash)
    shown = await alice.wait_message(lambda stanza: stanza.get("reactions", "id") == first)
    assert shown.text("reactions/reaction") == "\N{THUMBS UP SIGN}"
    await native.send(name, "", kind=MessageType.DELETE_REQUEST, reference=reacted.message_hash)
    await alice.wait_message(
        lambda stanza: stanza.get("reactions", "id") == first and not stanza.find("reactions/reaction") is not None
    )
    await native.send(name, "", kind=MessageType.DELETE_REQUEST, reference=ours.message_hash)
    await alice.wait_message(lambda stanza: stanza.get("retract", "id") == heard.id)


async def test_a_marker_is_about_all_messages_before_it(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    contact = world.contact(native)
    sent = [await native.send(world.name_of(alice), f"number {n}") for n in range(4)]
    heard = [await alice.wait_text(f"number {n}", contact) for n in range(4)]
    await alice.displayed(contact, heard[2].id)
    opened = await world.mail(native, 3, kind=MessageType.READ_OPENED)
    assert [each.message.reference for each in opened] == [each.message_hash for each in sent[:3]]
    await alice.displayed(contact, heard[3].id)
    await alice.displayed(contact, heard[3].id)
    await alice.send(contact, "the end")
    await world.mail(native)
    opened = await world.mail(native, 4, kind=MessageType.READ_OPENED)
    assert [each.message.reference for each in opened] == [each.message_hash for each in sent]


async def test_files_go_both_ways(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    contact, data = world.contact(native), b"some bytes" * 1000
    url = await alice.upload(data, "text/plain", "a.txt")
    await alice.send_file(contact, url)
    (received,) = await world.mail(native)
    (attachment,) = received.message.attachments or ()
    assert attachment_content(attachment, max_bytes=100_000) == FileContent("a.txt", "text/plain", data)
    # Of another server, beside the files, out of them, and gone: links, and nothing is fetched.
    place, _, name = url.rpartition("/")
    origin = url.partition("//")[2].partition("/")[0]
    for other in (
        f"http://{origin}/status",
        url.replace("127.0.0.1", "127.0.0.2"),
        f"{place}/../../../status",
        f"{place}/%2e%2e/%2e%2e/status",
        f"{place[:-4]}none/{name}",
        url.replace("//", "//user@"),
    ):
        await alice.send_file(contact, other)
        found = (await world.mail(native, len(world.heard[native.name]) + 1))[-1].message.attachments or ()
        assert isinstance(attachment_content(found[0], max_bytes=1000), Link), other
    await native.send(
        world.name_of(alice), "see", attachments=(file_attachment("b.bin", "application/x-b", b"\0\1\2"),)
    )
    shared = await alice.wait_message(lambda stanza: bool(stanza.text("x/url")))
    assert await alice.download(shared.text("x/url") or "") == b"\0\1\2"


async def test_a_contact_is_there_with_name_and_picture(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    contact = world.contact(native)
    await alice.subscribe(contact)
    here = await alice.wait_presence(lambda stanza: stanza.bare == contact and stanza.type == "available")
    assert here.text("nick") == native.name
    card = await alice.vcard(contact)
    assert native.name in "".join(card.itertext())
    info = await alice.info(contact)
    assert ("account", "registered") in {(each[0], each[1]) for each in info.identities}


async def test_a_message_that_cannot_be_taken_comes_back(world: XmppWorld) -> None:
    alice = await world.person()
    sent = await alice.send(f"nobody-at-all.eth@{world.server.component}", "hello?")
    assert (await alice.wait_error(sent)).condition == "item-not-found"
    nobody = await world.native(service="nowhere.eth")
    lost = await alice.send(world.contact(nobody), "lost")
    assert (await alice.wait_error(lost)).condition == "recipient-unavailable"


async def test_the_gateway_itself_takes_commands(world: XmppWorld) -> None:
    alice, native = await world.person(), await world.native()
    await alice.send(world.server.component, f"chat {native.name}")
    answer = await alice.wait_message(lambda stanza: world.contact(native) in (stanza.body or ""))
    assert answer.bare == world.server.component
    commands = await alice.commands(world.server.component)
    assert "whoami" in commands
    step = await alice.command(world.server.component, "whoami")
    assert step.status == "completed"
