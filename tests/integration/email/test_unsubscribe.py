"""The way out of mail that nobody asked for, from the header of a mail to the block."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest
from starlette.applications import Starlette

from adapters.email.adapter import EmailAdapter
from adapters.email.settings import EmailSettings
from adapters.email.unsubscribe import Unsubscribing
from gateway.sdk import CanonicalId, EnsName, ListFull, MessageHash, NativeId, Retry, SentMessage, ServesHttp
from gateway.sdk.testing import MemoryContext
from tests.integration.email.peers import Mailbox
from tests.integration.email.test_mail_out import delivery, post_office

BOB = CanonicalId("bob@example.net")
BODY = "List-Unsubscribe=One-Click"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(kw_only=True)
class HttpsContext(MemoryContext):
    """A gateway that people reach over HTTPS."""

    public_url: str = "https://gw.example"


@dataclass
class Cold:
    """A mail to somebody who never wrote, and the gateway's web server."""

    adapter: EmailAdapter
    ctx: MemoryContext
    mailbox: Mailbox
    web: httpx2.AsyncClient

    @property
    def link(self) -> str:
        return str(self.mailbox.mails[0]["List-Unsubscribe"]).strip("<>")


@asynccontextmanager
async def cold(**changes: object) -> AsyncIterator[Cold]:
    mailbox = Mailbox()
    async with post_office(mailbox, context=HttpsContext) as (adapter, ctx, _):
        assert isinstance(adapter, ServesHttp)
        app = Starlette(routes=list(adapter.routes()))
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as web:
            await adapter.deliver(delivery(adapter, first=True, **changes))
            yield Cold(adapter, ctx, mailbox, web)


async def test_the_first_mail_shows_the_way_out() -> None:
    async with cold() as world:
        (mail,) = world.mailbox.mails
        assert re.fullmatch(r"https://gw\.example/email/unsubscribe/[a-z2-7]{32}", world.link)
        assert mail["List-Unsubscribe-Post"] == BODY
        assert world.link in mail.get_content()


async def test_looking_changes_nothing_and_the_button_blocks() -> None:
    """Programs that check links open them (RFC 8058, section 1)."""
    async with cold() as world:
        for method in ("GET", "HEAD"):
            page = await world.web.request(method, world.link)
            assert page.status_code == 200
        page = await world.web.get(world.link)
        assert "Block native.eth" in page.text
        assert 'method="post"' in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert await world.ctx.people.blocked(BOB) == ()
        done = await world.web.post(world.link, content=BODY, headers=FORM)
        assert done.status_code == 200
        assert await world.ctx.people.blocked(BOB) == (EnsName("native.eth"),)


async def test_one_click_of_a_mail_provider() -> None:
    """RFC 8058, section 3.2: either encoding, no cookies, no redirect."""
    async with cold() as world:
        for _ in range(2):
            done = await world.web.post(world.link, files={"List-Unsubscribe": (None, "One-Click")})
            assert done.status_code == 200
        assert await world.ctx.people.blocked(BOB) == (EnsName("native.eth"),)


@pytest.mark.parametrize("body", ["", "x", "List-Unsubscribe=No", "x" * 100_000 + BODY])
async def test_other_requests_change_nothing(body: str) -> None:
    async with cold() as world:
        assert (await world.web.post(world.link, content=body, headers=FORM)).status_code == 400
        assert await world.ctx.people.blocked(BOB) == ()


@pytest.mark.parametrize("token", ["a" * 32, "x", "%00", "ä", "a" * 5000])
async def test_links_of_others(token: str) -> None:
    async with cold() as world:
        url = f"https://gw.example/email/unsubscribe/{token}"
        for method in ("GET", "POST"):
            assert (await world.web.request(method, url, content=BODY)).status_code == 404
        assert await world.ctx.people.blocked(BOB) == ()


async def test_a_row_that_we_did_not_write_opens_nothing() -> None:
    async with cold() as world:
        world.ctx.values.texts["unsubscribe", "a" * 32] = '["bob@example.net", "carol.eth"]'
        answer = await world.web.post(f"https://gw.example/email/unsubscribe/{'a' * 32}", content=BODY)
        assert answer.status_code == 404


async def test_what_the_gateway_refuses_is_said() -> None:
    async with cold() as world:
        world.ctx.people.fault = ListFull("a list has at most 1000 names")
        answer = await world.web.post(world.link, content=BODY)
        assert answer.status_code == ListFull.status
        assert "This did not work" in answer.text


async def test_a_name_is_no_markup() -> None:
    async with cold() as world:
        way_out = await Unsubscribing(world.ctx).way_out(BOB, EnsName("<b>.eth"))
        page = await world.web.get(way_out.link)
        assert "<b>.eth" not in page.text
        assert "&lt;b&gt;.eth" in page.text


async def test_before_the_adapter_is_open_nobody_is_served() -> None:
    adapter = EmailAdapter(EmailSettings.model_validate({"domain": "gw.example"}))
    app = Starlette(routes=list(adapter.routes()))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as web:
        assert (await web.get("https://gw.example/email/unsubscribe/x")).status_code == 503


async def test_without_https_there_is_no_one_click() -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, _, _):
        await adapter.deliver(delivery(adapter))
    (mail,) = mailbox.mails
    assert mail["List-Unsubscribe"] is not None
    assert mail["List-Unsubscribe-Post"] is None


@pytest.mark.parametrize("known", ["wrote before", "automatic"])
async def test_mail_that_was_asked_for_has_none(known: str) -> None:
    mailbox = Mailbox()
    async with post_office(mailbox) as (adapter, ctx, _):
        if known == "wrote before":
            ctx.people.sent[BOB].append(SentMessage(NativeId("<1@x>"), EnsName("native.eth"), "sent", "", 0))
        await adapter.deliver(delivery(adapter, first=True, automatic=known == "automatic"))
    (mail,) = mailbox.mails
    assert mail["List-Unsubscribe"] is None
    assert "You never wrote" not in mail.get_content()


@pytest.mark.attack(48)
async def test_somebody_writes_to_so_many_new_people_a_day() -> None:
    mailbox = Mailbox()
    async with post_office(mailbox, new_people_per_day=3) as (adapter, ctx, _):

        async def write(person: str, number: int, **changes: object) -> str:
            outcome = await adapter.deliver(
                delivery(
                    adapter,
                    recipient=CanonicalId(person),
                    message_hash=MessageHash(f"0x{number:064x}"),
                    **{"first": True} | changes,
                )
            )
            return outcome.reason if isinstance(outcome, Retry) else type(outcome).__name__

        assert [await write(f"u{number}@example.net", number) for number in range(3)] == ["Delivered"] * 3
        assert await write("u3@example.net", 3) == "native.eth wrote to many new people today"
        assert await write("u0@example.net", 4) == "Delivered", "not a new one any more"
        assert await write("u3@example.net", 5, first=False) == "Delivered", "a conversation goes on"
        assert await write("u3@example.net", 6, sender=EnsName("other.eth")) == "Delivered"
        ctx.people.sent[CanonicalId("u4@example.net")].append(
            SentMessage(NativeId("<1@x>"), EnsName("native.eth"), "sent", "", 0)
        )
        assert await write("u4@example.net", 7) == "Delivered", "an answer"
