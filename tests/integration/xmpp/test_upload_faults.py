"""A server's place for files that does not answer, refuses, moves: what may pass is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp import web

from adapters.xmpp import asking
from gateway.demo.xmpp_stanza import Stanza, element
from gateway.sdk import Delivered, Outcome, Rejected, Retry, file_attachment
from tests.integration.xmpp.gates import Gate, delivery
from tests.support.component_server import DOMAIN, pong

pytestmark = pytest.mark.xdist_group("xmpp")

UPLOAD = "urn:xmpp:http:upload:0"
ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
FIRST, SECOND, OTHER = f"first.{DOMAIN}", f"second.{DOMAIN}", f"other.{DOMAIN}"
INFO, SLOT, ITEMS = "disco#info", "request", "disco#items"


def error(condition: str, kind: str = "cancel") -> str:
    return element("error", {"type": kind}, f"<{condition} xmlns='{ERRORS}'/>")


SILENCE = ""
LATER = error("resource-constraint", "wait")
GONE = error("service-unavailable")
NOWHERE = error("item-not-found")
FORBIDDEN = error("forbidden", "auth")


@dataclass
class Services:
    """What each address answers to each question; those that are not named are no such service."""

    files: str
    answers: dict[tuple[str, str], str] = field(default_factory=dict)
    named: tuple[str, ...] = (OTHER, FIRST)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, stanza: Stanza) -> str:
        if stanza.type != "get" or stanza.has("ping"):
            return pong(stanza)
        question = stanza.xml[0].tag.rpartition("}")[2]
        if question == "query":
            question = stanza.xml[0].tag[1:].rpartition("}")[0].rpartition("/")[2]
        self.asked.append((stanza.to, question))
        inside = self.answers.get((stanza.to, question), self._usual(stanza.to, question))
        if not inside:
            return ""
        kind = "error" if "<error" in inside else "result"
        return element("iq", {"type": kind, "id": stanza.id, "from": stanza.to, "to": stanza.sender}, inside)

    def _usual(self, to: str, question: str) -> str:
        match question:
            case "disco#items":
                items = "".join(element("item", {"jid": each}) for each in self.named)
                return f"<query xmlns='http://jabber.org/protocol/disco#items'>{items}</query>"
            case "disco#info":
                feature = element("feature", {"var": UPLOAD}) if to in (FIRST, SECOND) else ""
                return f"<query xmlns='http://jabber.org/protocol/disco#info'>{feature}</query>"
            case _:
                url = f"{self.files}/{to}"
                return f"<slot xmlns='{UPLOAD}'><put url='{url}'/><get url='{url}'/></slot>"


@pytest_asyncio.fixture
async def services(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    """Of a server that takes every file."""
    monkeypatch.setattr(asking, "SECONDS", 60.0)

    async def put(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=201)

    app = web.Application()
    app.router.add_put("/{tail:.*}", put)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    found = Services(f"http://{host}:{port}")
    gate.server.answers = found
    try:
        yield found
    finally:
        await runner.cleanup()


async def deliver(gate: Gate) -> Outcome:
    return await gate.adapter.deliver(delivery("a file", file_attachment("a.txt", "text/plain", b"content")))


@pytest.mark.parametrize(
    "answers",
    [
        {(FIRST, INFO): SILENCE},
        {(FIRST, INFO): LATER},
        {(DOMAIN, INFO): LATER, (FIRST, INFO): GONE},
        {(DOMAIN, ITEMS): SILENCE},
        {(DOMAIN, ITEMS): LATER},
        {(FIRST, SLOT): SILENCE},
        {(FIRST, SLOT): LATER},
    ],
    ids=["silent", "busy", "busy server", "server silent", "server says later", "no slot", "slots later"],
)
async def test_what_may_pass_is_tried_again(
    gate: Gate, services: Services, answers: Mapping[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    services.answers.update(answers)
    with monkeypatch.context() as waiting:
        if SILENCE in answers.values():
            waiting.setattr(asking, "SECONDS", 2.0)  # the others answer
        assert isinstance(await deliver(gate), Retry)
    services.answers.clear()
    assert isinstance(await deliver(gate), Delivered)


@pytest.mark.parametrize("answers", [{(FIRST, INFO): GONE}, {(FIRST, SLOT): FORBIDDEN}, {(FIRST, SLOT): GONE}], ids=str)
async def test_what_does_not_pass_is_told(
    gate: Gate, services: Services, answers: Mapping[tuple[str, str], str]
) -> None:
    services.answers.update(answers)
    assert isinstance(await deliver(gate), Rejected)


@pytest.mark.parametrize("answer", [GONE, NOWHERE], ids=["service-unavailable", "item-not-found"])
async def test_a_service_that_moved_is_found_again(gate: Gate, services: Services, answer: str) -> None:
    assert isinstance(await deliver(gate), Delivered)
    services.answers.update({(FIRST, SLOT): answer, (FIRST, INFO): answer})
    services.named = (SECOND,)
    services.asked.clear()
    assert isinstance(await deliver(gate), Delivered)
    assert [to for to, question in services.asked if question == SLOT] == [FIRST, SECOND]


async def test_an_address_that_is_none_costs_the_others_nothing(gate: Gate, services: Services) -> None:
    services.named = ("@@", "", FIRST)
    assert isinstance(await deliver(gate), Delivered)


async def test_a_link_that_breaks_meanwhile_says_nothing_about_files(
    gate: Gate, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "SECONDS", 2.0)

    def leave(stanza: Stanza) -> str:
        return "</stream:stream>" if stanza.to == FIRST else services(stanza)

    gate.server.answers = leave
    assert isinstance(await asyncio.wait_for(deliver(gate), 60), Retry)
