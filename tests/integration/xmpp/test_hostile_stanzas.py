"""What no real server sends on: whatever comes over the link, the next good message is taken, on the same link."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable
from copy import deepcopy
from xml.etree import ElementTree

import pytest

from adapters.xmpp import adapter, asking
from adapters.xmpp.pump import MOST
from gateway.demo.xmpp_stanza import Stanza, element
from gateway.sdk import Retry, file_attachment
from tests.integration.xmpp.gates import BOB, CONTACT, Gate, delivery
from tests.support.component_server import COMPONENT, DOMAIN, condition, pong

pytestmark = pytest.mark.xdist_group("xmpp")

SEARCH = "<query xmlns='jabber:iq:search'><nick>alice.eth</nick></query>"
_numbers = itertools.count(1)


@pytest.mark.attack(57)
async def test_only_people_of_the_server_are_heard(gate: Gate) -> None:
    before = len(gate.server.heard.items)
    for sender in ("mallory@other.example/x", f"mallory@sub.{DOMAIN}", "other.example", f"mallory@{DOMAIN}.evil"):
        gate.say("<body>let me in</body>", **{"from": sender})
        refused = await gate.server.heard.first(lambda each, sender=sender: each.to == sender, 15)  # type: ignore[misc]
        assert condition(refused) == "forbidden"
        gate.say("", name="presence", **{"from": sender, "type": "subscribe"})
        gate.say(SEARCH, name="iq", **{"from": sender, "to": COMPONENT, "type": "set"})
    # Nobody may speak as one of ours, and what is not for us is nobody's: the server would end the link for an answer.
    for sender, to in ((f"alice.eth@{COMPONENT}", CONTACT), (COMPONENT, CONTACT), (BOB, "somebody@other.example")):
        gate.say("<body>as one of you</body>", **{"from": sender, "to": to})
    await gate.takes_messages()
    assert all(each.text.startswith("good") for each in gate.ctx.taken)
    answered = {each.to.partition("/")[0].rpartition("@")[2] for each in gate.since(before)}
    assert not answered & {COMPONENT}
    assert gate.server.connections == 1


ROOM = f"team+{CONTACT}"
COMMAND = "<command xmlns='http://jabber.org/protocol/commands' node='{}' {}/>"
SUBMITTED = "<x xmlns='jabber:x:data' type='submit'/>"
ENTERING = "<x xmlns='http://jabber.org/protocol/muc'/>"


def message(inside: str, to: str = CONTACT, **attributes: str) -> str:
    return element("message", {"from": BOB, "to": to, **attributes}, inside)


def presence(inside: str = "", to: str = CONTACT, **attributes: str) -> str:
    return element("presence", {"from": BOB, "to": to, **attributes}, inside)


def iq(inside: str, to: str = COMPONENT, type: str = "set", id: str = "1") -> str:
    return element("iq", {"from": BOB, "to": to, "type": type, "id": id or None}, inside)


def query(namespace: str, inside: str = "", **attributes: str) -> str:
    return element("query", {"xmlns": namespace, **attributes}, inside)


MALFORMED = (
    "<message/>",
    "<message from='' to=''/>",
    f"<message to='{CONTACT}'><body>no sender</body></message>",
    f"<message from='{BOB}'><body>no recipient</body></message>",
    f"<message from='@@@' to='{CONTACT}'><body>a</body></message>",
    message("<body>a</body>", f"@{COMPONENT}"),
    message("<body>a</body>", f"{'a' * 2000}@{COMPONENT}"),
    message("<body>a</body>", id="x" * 5000, type="nonsense"),
    message("<reactions xmlns='urn:xmpp:reactions:0'/>"),
    message("<retract xmlns='urn:xmpp:message-retract:1'/>"),
    message("<displayed xmlns='urn:xmpp:chat-markers:0'/>"),
    message("", type="error"),
    message("<error type='x'><nonsense/></error>", type="error"),
    message("<body>nowhere</body>", ROOM, type="groupchat"),
    message("<body>nowhere</body>", f"+{CONTACT}", type="groupchat"),
    message("<privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='both'/></privilege>", COMPONENT),
    presence(type="nonsense"),
    presence(ENTERING, ROOM),
    presence(ENTERING),
    iq(SEARCH, id=""),
    iq(SEARCH, type="nonsense"),
    iq("", type="get"),
    iq(SEARCH + SEARCH, type="get"),
    iq(COMMAND.format("delete-me", "action='complete' sessionid='guessed'")),
    iq(query("jabber:iq:register", SUBMITTED)),
    iq(query("jabber:iq:gateway", element("prompt", text="a" * 9000))),
    iq("<vCard xmlns='vcard-temp'/>", CONTACT),
    iq(query("http://jabber.org/protocol/disco#info", node="n" * 9000), CONTACT, "get"),
)


async def test_malformed_stanzas_harm_nobody(gate: Gate) -> None:
    for stanza in MALFORMED:
        gate.server.say(stanza)
        await gate.takes_messages()
    assert gate.server.connections == 1


NESTED = "<a>" * 20_000 + "</a>" * 20_000


@pytest.mark.parametrize(
    "tricks",
    [
        "<!-- a comment --><?php nothing ?>",
        message("<body><![CDATA[<b>&amp;</b>]]>&#x1F98A;&#65;</body>"),
        message("<body>a</body>" + NESTED),
        message(NESTED, ROOM, type="groupchat"),
        message("", **{f"a{number}": "" for number in range(5_000)}),
        message("<x/>" * 50_000),
        message("".join(f"<body xml:lang='l{number}'>a</body>" for number in range(3_000))),
        message(element("body", text="a" * 5_000_000)),
    ],
    ids=["comments", "cdata", "nested", "nested in a room", "attributes", "elements", "languages", "large"],
)
async def test_odd_xml_is_read_or_refused(gate: Gate, tricks: str) -> None:
    gate.server.say(tricks)
    await gate.takes_messages()
    assert gate.server.connections == 1


@pytest.mark.parametrize(
    "broken",
    [
        "<!DOCTYPE a [<!ENTITY x 'y'>]><message/>",
        f"<message from='{BOB}' to='{CONTACT}'><body>&lol;</body></message>",
        "<message><body></message>",
        "<prefix:message/>",
        "<message a='1' a='2'/>",
        "<message>\x01</message>",
        "<message>\ud800</message>",
        "</stream:stream>",
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
    ],
)
async def test_a_broken_stream_is_begun_anew(gate: Gate, broken: str) -> None:
    gate.server.say(broken)
    await gate.up_again(2)
    await gate.takes_messages()


async def test_a_flood_of_one_does_not_keep_others_waiting(gate: Gate) -> None:
    for number in range(5_000):
        gate.say("", name="presence", **{"from": f"flood@{DOMAIN}/{number}", "type": "probe" if number % 2 else ""})
    for number in range(2_000):
        gate.say(SEARCH, name="iq", **{"from": f"flood@{DOMAIN}/{number}", "to": COMPONENT, "type": "set"})
    await gate.takes_messages()
    assert gate.server.connections == 1


async def test_slow_stanzas_of_one_do_not_stop_the_link_for_others(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SECONDS", 60.0)
    monkeypatch.setattr(adapter, "DRAIN_SECONDS", 0.1)
    for number in range(2 * MOST):
        gate.say(
            f"<x xmlns='jabber:x:oob'><url>https://files.{DOMAIN}/{number}</url></x>", id=f"f{number}", type="chat"
        )
    await gate.takes_messages(f"carol@{DOMAIN}/x")
    refused = [each for each in gate.server.heard.items if each.id.startswith("f")]
    assert {condition(each) for each in refused} == {"resource-constraint"}
    assert MOST < len(refused) < 2 * MOST


async def test_answers_are_never_answered(gate: Gate) -> None:
    """Trap: two gateways that answer each other's answers go on for ever (XEP-0055 in slixmpp)."""

    def echo(stanza: Stanza) -> str:
        if stanza.name != "iq" or stanza.has("ping"):
            return pong(stanza)
        return element("iq", {"type": stanza.type, "id": stanza.id, "from": BOB, "to": COMPONENT}, SEARCH)

    gate.server.answers = echo
    before = len(gate.server.heard.items)
    gate.say(SEARCH, name="iq", to=COMPONENT, type="set", id="begun")
    await gate.server.heard.first(lambda each: each.id == "begun", 15)
    for kind in ("result", "error"):
        for inside in (SEARCH, "", "<query xmlns='jabber:iq:gateway'/>", "<ping xmlns='urn:xmpp:ping'/>"):
            gate.say(inside, name="iq", to=COMPONENT, type=kind)
    gate.say("<body>back</body><error type='cancel'/>", type="error")
    gate.say("", name="presence", type="error")
    await gate.takes_messages()
    said = gate.since(before)
    assert len([each for each in said if each.name == "iq"]) == 1, said
    assert [each.get("received", "id") is not None for each in said if each.name == "message"] == [True]


async def test_nobody_but_the_server_says_that_it_has_read(gate: Gate) -> None:
    """Answers of others to pings of ours are nothing."""
    gate.server.answers = lambda stanza: ""
    sending = asyncio.create_task(gate.adapter.deliver(delivery("unread")))
    ping = await gate.server.heard.first(lambda each: each.has("ping") and each.type == "get", 15)
    for sender in (BOB, f"bob@{DOMAIN}", f"sub.{DOMAIN}"):
        gate.server.say(element("iq", {"type": "result", "id": ping.id, "from": sender, "to": COMPONENT}))
    done, _ = await asyncio.wait({sending}, timeout=1)
    assert not done
    gate.server.answers = pong
    gate.server.say(pong(ping))
    assert (await sending).native_id  # type: ignore[union-attr]


async def test_a_service_that_does_not_answer_keeps_nothing_else_waiting(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "SECONDS", 1.0)
    attachment = file_attachment("a.txt", "text/plain", b"content")
    sending = asyncio.create_task(_outcome(gate.adapter.deliver(delivery("with a file", attachment))))
    await gate.server.heard.first(lambda each: each.type == "get" and not each.has("ping"), 15)
    await gate.takes_messages()
    assert (await gate.adapter.deliver(delivery("without"))).native_id  # type: ignore[union-attr]
    assert isinstance(await sending, Retry)


async def test_thousands_of_mutants(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    """Stanzas with parts left out, doubled, exchanged and renamed: each refused in words, none by an exception."""
    rng = random.Random(20261126)
    seeds = [ElementTree.fromstring(each) for each in (*MALFORMED, *GOOD)]
    for _ in range(10_000):
        mutant = deepcopy(rng.choice(seeds))
        for _ in range(rng.randrange(1, 4)):
            _mutate(rng, mutant, seeds)
        gate.server.say(ElementTree.tostring(mutant, encoding="unicode"))
    await gate.takes_messages(f"carol@{DOMAIN}/x")
    assert gate.server.connections == 1
    written = capsys.readouterr()
    assert "Traceback" not in written.out + written.err


GOOD = (
    message("<body>a</body><reply xmlns='urn:xmpp:reply:0' id='2'/>", type="chat", id="1"),
    message("<reactions xmlns='urn:xmpp:reactions:0' id='2'><reaction>a</reaction></reactions>", id="3"),
    presence(type="subscribe"),
    presence(ENTERING, f"{ROOM}/Bob"),
    message("<body>to all</body>", ROOM, type="groupchat", id="4"),
    iq(query("http://jabber.org/protocol/muc#admin", "<item nick='Bob' role='none'/>"), ROOM),
    iq(query("http://jabber.org/protocol/muc#owner", SUBMITTED), ROOM),
    iq("<vCard xmlns='vcard-temp'/>", CONTACT, "get"),
    iq(COMMAND.format("whoami", "")),
)


def _mutate(rng: random.Random, whole: ElementTree.Element, seeds: list[ElementTree.Element]) -> None:
    target = rng.choice(list(whole.iter()))
    match rng.randrange(6):
        case 0 if target.attrib:
            del target.attrib[rng.choice(list(target.attrib))]
        case 1:
            target.set(
                rng.choice(("from", "to", "id", "type", "node", "jid")),
                rng.choice(("", "x", BOB, "\u202e", "a" * 3_000)),
            )
        case 2:
            target.append(deepcopy(rng.choice(list(rng.choice(seeds).iter()))))
        case 3 if len(target):
            target.remove(rng.choice(list(target)))
        case 4:
            target.tag = rng.choice([each.tag for seed in seeds for each in seed.iter()])
        case _:
            target.text = rng.choice(("", "\U0001f98a" * 100, "-1", "é\u0301", "]]>"))


async def _outcome(delivering: Awaitable[object]) -> object:
    """What a lane makes of it."""
    try:
        return await delivering
    except Exception as error:
        return Retry(str(error))
