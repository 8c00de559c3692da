"""The tables in adapters/xmpp/README.md are true: one of each is sent, and compared with what they say."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.xmpp.settings import XmppSettings
from gateway.demo.xmpp_user import Stanza, XmppUser, element
from gateway.dm3.message import MessageType
from gateway.ids import MessageHash
from gateway.operations.dm3_client import Dm3Client
from gateway.sdk import FileContent, Link, attachment_content
from tests.integration.xmpp.worlds import XmppWorld, words

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("xmpp")]

README = (Path(__file__).parents[3] / "adapters/xmpp/README.md").read_text()
UNKNOWN = MessageHash("0x" + "cd" * 32)
THUMB = "\N{THUMBS UP SIGN}"
URL = "https://files.example/a.png"


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading."""
    rows = re.search(r"(?:^\|.*\n)+", README.partition(f"{heading}\n")[2], re.MULTILINE)
    assert rows is not None, heading
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in rows.group().splitlines()][2:]


TO_XMPP = table("### From DM3 to XMPP")
FROM_XMPP = table("### From XMPP to DM3")


async def test_every_dm3_type_has_a_row() -> None:
    assert sorted(row[0].strip("`") for row in TO_XMPP) == sorted(MessageType)


async def test_every_setting_has_a_row() -> None:
    assert [row[0].strip("`") for row in table("## Settings")] == list(XmppSettings.model_fields)


@pytest.mark.parametrize("row", TO_XMPP, ids=lambda row: row[0].strip("`"))
async def test_from_dm3_to_xmpp(world: XmppWorld, row: list[str]) -> None:
    alice, native = await world.person(), await world.native()
    kind, shown, unknown = MessageType(row[0].strip("`")), row[1], row[2]
    written = await alice.send(world.contact(native), "hello")
    (theirs,) = await world.mail(native)
    ours = await native.send(world.name_of(alice), "ours")
    heard = await alice.wait_text("ours", world.contact(native))
    own = kind in (MessageType.EDIT, MessageType.DELETE_REQUEST)
    about, id = (ours.message_hash, heard.id) if own else (theirs.message_hash, written)
    await _compare(world, alice, native, kind, None if kind is MessageType.NEW else about, shown, id)
    if own:
        await _compare(world, alice, native, kind, theirs.message_hash, unknown, id)
    if unknown:
        await _compare(world, alice, native, kind, UNKNOWN, shown if unknown == "the same" else unknown, id)


async def _compare(
    world: XmppWorld,
    alice: XmppUser,
    native: Dm3Client,
    kind: MessageType,
    about: MessageHash | None,
    shown: str,
    id: str,
) -> None:
    """Send one, and wait for a stanza of the contact that is as the table says."""
    before, contact = len(alice.messages.items), world.contact(native)
    text = THUMB if kind is MessageType.REACTION else "some text"
    await native.send(world.name_of(alice), text, kind=kind, reference=about)
    if shown == "nothing":
        # What is said afterwards is heard, and nothing else.
        last = f"after {before}"
        await native.send(world.name_of(alice), last)
        await alice.wait_text(last, contact)
        assert [each.body for each in alice.messages.items[before:]] == [last]
        return
    said = shown.partition("a new message: `")[2].strip("`").rstrip("\N{HORIZONTAL ELLIPSIS}")
    named = re.search(r"`(\w+)`", shown) if not said else None

    def fits(stanza: Stanza) -> bool:
        if stanza.bare != contact or stanza in alice.messages.items[:before]:
            return False
        if named is not None:
            return stanza.get(named[1], "id") == id
        relations = any(stanza.has(name) for name in ("reply", "replace", "retract", "reactions"))
        return (stanza.body or "").startswith(said or "some text") and not relations

    await alice.wait_message(fits)


@dataclass(frozen=True)
class Sample:
    """How one of a kind is sent, which returns its id, and how its DM3 message reads."""

    send: Callable[[XmppUser, str, str], Awaitable[str]]
    reads: str = "sample"


def message(body: str | None, *content: str, type: str = "chat", reads: str = "sample") -> Sample:
    """A message; ``FIRST`` in its content stands for the id of an earlier one."""

    async def send(alice: XmppUser, contact: str, first: str) -> str:
        return await alice.send(contact, body, *(each.replace("FIRST", first) for each in content), type=type)

    return Sample(send, reads)


async def _upload(alice: XmppUser, contact: str, first: str) -> str:
    url = await alice.upload(b"content", "text/plain", "ab.txt")
    return await alice.send_file(contact, url)


async def _react_and_take_back(alice: XmppUser, contact: str, first: str) -> str:
    await alice.react(contact, first, THUMB)
    return await alice.react(contact, first)


SHARED = element(
    "file-sharing",
    {"xmlns": "urn:xmpp:sfs:0"},
    element("file", {"xmlns": "urn:xmpp:file:metadata:0"}, element("name", text="a.png")),
    element("sources", {}, element("url-data", {"xmlns": "http://jabber.org/protocol/url-data", "target": URL})),
)
AXOLOTL = element("encrypted", {"xmlns": "eu.siacs.conversations.axolotl"}, element("payload", text="AAAA"))
SAMPLES = {
    "text": message("sample"),
    "text with a subject": message("sample", element("subject", text="About"), reads="**About**\n\nsample"),
    "text with `reply` (XEP-0461)": Sample(lambda alice, to, first: alice.reply(to, first, "sample", "first")),
    "text with `replace` (XEP-0308)": Sample(lambda alice, to, first: alice.correct(to, first, "sample")),
    "`headline`": message("sample", type="headline"),
    "link (XEP-0066)": Sample(lambda alice, to, _: alice.send_file(to, URL), ""),
    "file (XEP-0447)": message(URL, SHARED, reads=""),
    "file on the own server (XEP-0363)": Sample(_upload, ""),
    "`reactions` (XEP-0444) with a new one": Sample(lambda alice, to, first: alice.react(to, first, THUMB), THUMB),
    "`reactions` without one of before": Sample(_react_and_take_back, ""),
    "`retract` (XEP-0424)": Sample(lambda alice, to, first: alice.retract(to, first), ""),
    "`apply-to` with `retract` (XEP-0424, 0.3)": message(
        None,
        element(
            "apply-to",
            {"xmlns": "urn:xmpp:fasten:0", "id": "FIRST"},
            element("retract", {"xmlns": "urn:xmpp:message-retract:0"}),
        ),
        reads="",
    ),
    "`displayed` (XEP-0333)": Sample(lambda alice, to, first: alice.displayed(to, first), ""),
    "`received` (XEP-0184)": Sample(lambda alice, to, first: alice.receipt(to, first)),
    "chat state (XEP-0085)": Sample(lambda alice, to, _: alice.chat_state(to, "composing")),
    "OMEMO (XEP-0384)": message("I sent you an OMEMO message", AXOLOTL),
    "OpenPGP (XEP-0027)": message("encrypted", element("x", {"xmlns": "jabber:x:encrypted"}, text="AAAA")),
    "OTR": message("?OTRv3?"),
    "invitation to a room (XEP-0249)": message(
        None, element("x", {"xmlns": "jabber:x:conference", "jid": "room@muc.localhost"})
    ),
    "anything else without a body": message(None, element("thing", {"xmlns": "urn:example:thing"})),
}


async def test_every_row_has_a_sample() -> None:
    assert [row[0] for row in FROM_XMPP] == list(SAMPLES)


@pytest.mark.parametrize("row", FROM_XMPP, ids=lambda row: row[0].replace("`", ""))
async def test_from_xmpp_to_dm3(world: XmppWorld, row: list[str]) -> None:
    alice, native = await world.person(), await world.native()
    sample, becomes, how = SAMPLES[row[0]], row[1].strip("`"), row[2]
    contact = world.contact(native)
    first = await alice.send(contact, "first")
    await world.mail(native)
    if becomes == MessageType.READ_OPENED:
        await native.send(world.name_of(alice), "to be read")
        first = (await alice.wait_text("to be read", contact)).id
    sent = await sample.send(alice, contact, first)
    if "comes back" in how:
        assert (await alice.wait_error(sent)).text
    if becomes == "nothing":
        await alice.send(contact, "last")
        received = await world.mail(native, 2)
        assert [words(each) for each in received] == ["first", "last"]
        assert len(world.heard[native.name]) == 2
        return
    kind = MessageType(becomes)
    got = (await world.mail(native, 2 if kind is MessageType.NEW else 1, kind=kind))[-1]
    assert sample.reads in words(got)
    if "attachment" in how:
        (attachment,) = got.message.attachments or ()
        content = attachment_content(attachment, max_bytes=1000)
        if "inside" in how:
            assert content == FileContent("ab.txt", "text/plain", b"content")
        else:
            assert content == Link("a.png" if "0447" in row[0] else "link", URL)
