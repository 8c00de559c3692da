"""People are told that mail waits: from the submission to the mail server and the browser, with the real worker."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiosmtplib
import pytest

from gateway.dm3.message import MessageType
from gateway.ids import EnsName, Network
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.relay.notify.push_channel import TOKEN_SECONDS
from gateway.store.channels import ChannelKind, PutChannel, SubscriberAt
from gateway.store.mailbox import AcceptEnvelope
from tests.integration.relay.reporting import Outside, Person, log_in, outside, settled, wants_mail
from tests.integration.store.values import Sql, envelope
from tests.support.accounts import Registered
from tests.support.adapters import PaperAdapter
from tests.support.house import rpc, running_house
from tests.support.push import Browser, Push, vapid_claims
from tests.support.waiting import mail_of, until

SUBJECT = "mailto:operator@gw.example"
HOSTILE = [
    "<img src=x onerror=alert(1)>.eth",
    "a.eth\r\nBcc: eve@example.net\r\n\r\n<b>x</b>",
    "=?utf-8?q?=0D=0ABcc:_eve=40example.net?=.eth",
    "\u202egro.lleh",
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Outside]:
    """People are told at once, and as often as there is news."""
    async with outside(tmp_path / "house", delay_seconds=0, min_interval_seconds=0, vapid_subject=SUBJECT) as running:
        yield running


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[Outside]:
    """People are told after an hour."""
    async with outside(tmp_path / "house", delay_seconds=3600) as running:
        yield running


async def bob_of(world: Outside) -> Person:
    return await log_in(world.house, await world.house.native("bob.eth", "bob"), "bob", notify=True)


async def alice_of(world: Outside) -> Dm3Client:
    return await world.house.native("alice.eth", "alice")


async def subscribe(bob: Person, browser: Browser) -> None:
    await bob.must("POST", "/NAME", {"recipientValue": browser.text, "notificationChannelType": "PUSH"})


async def pushed(world: Outside, number: int) -> list[Push]:
    """All pushes once there are so many."""

    async def look() -> list[Push] | None:
        return world.pushes.pushes if len(world.pushes.pushes) >= number else None

    return await until(look)


async def kinds_of(world: Outside, bob: Person) -> list[ChannelKind]:
    subscriber = await world.house.gateway.store.read(SubscriberAt(bob.address))
    return [channel.kind for channel in subscriber.channels]


async def test_a_mail_says_that_a_message_waits(world: Outside) -> None:
    bob, alice = await bob_of(world), await alice_of(world)
    await wants_mail(world, bob)
    await alice.send(bob.client.name, "the text is nobody's business")
    mail = (await world.mails(2))[1]
    assert mail["To"] == "bob@example.net"
    assert mail["From"] == "DM3 gateway <noreply@gw.example>"
    assert mail["Subject"] == "DM3 New Message"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().startswith("You received a new message from alice.eth.")
    assert "the text" not in mail.as_string()
    assert [each.message.text for each in await mail_of(bob.client)] == ["the text is nobody's business"]


async def test_a_browser_shows_that_a_message_waits(world: Outside) -> None:
    bob, alice = await bob_of(world), await alice_of(world)
    browser = world.pushes.browser()
    await subscribe(bob, browser)
    await alice.send(bob.client.name, "hello")
    [push] = await pushed(world, 1)
    assert browser.open(push) == {"title": "New Message", "body": "You received a new message from alice.eth."}
    key = (await _public_key(world)) or ""
    claims = vapid_claims(push, key)
    assert (claims["aud"], claims["sub"]) == (world.pushes.url, SUBJECT)
    assert 0 < claims["exp"] - now_ms() / 1000 <= TOKEN_SECONDS


async def test_both_at_once(world: Outside) -> None:
    bob, alice = await bob_of(world), await alice_of(world)
    await wants_mail(world, bob)
    await subscribe(bob, world.pushes.browser())
    await alice.send(bob.client.name, "hello")
    await pushed(world, 1)
    await world.mails(2)
    await settled(world.house)
    assert (len(world.pushes.pushes), len(world.mailbox.envelopes)) == (1, 2)


@pytest.mark.weakness(13)
async def test_hostile_names_become_neither_markup_nor_headers(world: Outside) -> None:
    """The relay takes normal names only; a name that came in another way is not trusted either."""
    bob = await bob_of(world)
    await wants_mail(world, bob)
    browser = world.pushes.browser()
    await subscribe(bob, browser)
    gateway = world.house.gateway
    for number, name in enumerate(HOSTILE, 1):
        stored = envelope(number, recipient=bob.address, sender=EnsName(name), received_at=now_ms())
        await gateway.store.commit(AcceptEnvelope(stored, await gateway._service._notifier.job_for(stored)))
        mail = (await world.mails(number + 1))[number]
        assert mail["Bcc"] is None
        assert mail["To"] == "bob@example.net"
        assert mail["Subject"] == "DM3 New Message"
        assert mail.get_content_type() == "text/plain"
        assert not mail.is_multipart()
        assert "Bcc" not in {line.partition(":")[0] for line in mail.get_content().splitlines()}
        shown = browser.open((await pushed(world, number))[number - 1])
        assert shown.keys() == {"title", "body"}
        assert shown["body"].splitlines() == [shown["body"]]
    assert all(each.rcpt_tos == ["bob@example.net"] for each in world.mailbox.envelopes)


async def test_a_browser_that_is_gone_is_told_nothing_more(world: Outside) -> None:
    bob, alice = await bob_of(world), await alice_of(world)
    await wants_mail(world, bob)
    await subscribe(bob, world.pushes.browser())
    world.pushes.answers.append(410)
    await alice.send(bob.client.name, "one")
    await pushed(world, 1)
    await settled(world.house)
    assert await kinds_of(world, bob) == [ChannelKind.EMAIL]
    await alice.send(bob.client.name, "two")
    await world.mails(3)
    await settled(world.house)
    assert len(world.pushes.pushes) == 1


async def test_a_push_service_that_is_down_is_asked_again(world: Outside) -> None:
    bob, alice = await bob_of(world), await alice_of(world)
    browser = world.pushes.browser()
    await subscribe(bob, browser)
    world.pushes.answers += [503, 503]
    await alice.send(bob.client.name, "hello")
    pushes = await pushed(world, 1)
    world.clock.ahead += 5_000
    await pushed(world, 2)
    world.clock.ahead += 30_000
    await pushed(world, 3)
    assert [browser.open(push)["title"] for push in pushes] == ["New Message"] * 3
    await settled(world.house)
    assert len(world.pushes.pushes) == 3
    assert await kinds_of(world, bob) == [ChannelKind.PUSH]


@pytest.mark.weakness(6)
async def test_who_picks_up_within_the_delay_gets_no_notification(slow: Outside) -> None:
    """Whatever sessions were opened and closed: only what waits counts. In the reference one closed session decides."""
    bob, alice = await bob_of(slow), await alice_of(slow)
    await wants_mail(slow, bob)
    sessions = [bob.client, await slow.house.native("bob.eth", "bob")]
    for session in sessions:
        await session.log_in()
    await alice.send(bob.client.name, "one")
    await bob.client.acknowledge(*await mail_of(sessions[1]))
    carol = await slow.house.native("carol.eth", "carol")
    await carol.send(bob.client.name, "two")
    slow.clock.ahead += 3_601_000
    mails = await slow.mails(2)
    await settled(slow.house)
    assert len(slow.mailbox.envelopes) == 2
    assert mails[1].get_content().startswith("You received a new message from carol.eth.")


async def test_messages_of_a_moment_are_told_once(tmp_path: Path) -> None:
    async with outside(tmp_path / "house", delay_seconds=60, min_interval_seconds=300) as world:
        bob, alice = await bob_of(world), await alice_of(world)
        await wants_mail(world, bob)
        for number in range(5):
            await alice.send(bob.client.name, f"message {number}")
        world.clock.ahead += 61_000
        await world.mails(2)
        await settled(world.house)
        assert len(world.mailbox.envelopes) == 2
        await alice.send(bob.client.name, "another one")
        world.clock.ahead += 240_000 + 61_000
        await world.mails(3)
        await settled(world.house)
        assert len(world.mailbox.envelopes) == 3


async def test_nobody_is_told_who_did_not_ask_for_it(world: Outside) -> None:
    bob, alice = await bob_of(world), await alice_of(world)
    await bob.must("POST", "/NAME", {"recipientValue": "bob@example.net", "notificationChannelType": "EMAIL"})
    await world.code(1)
    carol = await world.house.native("carol.eth", "carol")
    for client in (bob.client, carol):
        await alice.send(client.name, "hello")
        await mail_of(client)
    await settled(world.house)
    assert len(world.mailbox.envelopes) == 1


async def test_what_a_bridged_person_gets_makes_no_notification(tmp_path: Path) -> None:
    """It leaves the relay by an adapter; there is no pick-up to wait for."""
    paper = PaperAdapter()
    async with running_house(tmp_path / "house", adapters={paper.name: paper}) as house:
        alice, store = await house.native("alice.eth", "alice"), house.gateway.store
        await paper.write("dave@example.net", alice.name, "hello", "1")
        [received] = await mail_of(alice)
        [(address,)] = await store.read(Sql("SELECT address FROM identities"))
        await store.commit(Registered(address, received.sender, notify=True))
        await store.commit(PutChannel(address, ChannelKind.PUSH, "{}", True, now_ms()))
        await alice.send(received.sender, "hello yourself")
        await paper.wait_delivered(1)
        assert await store.read(Sql("SELECT name FROM lanes WHERE destination = 'notify'")) == []


async def test_a_mail_that_comes_back_to_us_is_not_told_again(world: Outside) -> None:
    """Somebody forwards notifications into the gateway: the trace stops them at the door."""
    bob, alice = await bob_of(world), await alice_of(world)
    await wants_mail(world, bob)
    await alice.send(bob.client.name, "hello")
    notification = (await world.mails(2))[1]
    adapter = world.house.gateway.adapters[Network("email")]
    async with aiosmtplib.SMTP(
        hostname="127.0.0.1",
        port=adapter.mx_port,  # type: ignore[attr-defined]
        local_hostname="client.example.net",
        start_tls=False,
    ) as client:
        with pytest.raises(aiosmtplib.SMTPException):
            await client.sendmail("bob@example.net", ["bob.eth@gw.example"], notification.as_bytes())
    await settled(world.house)
    assert len(world.mailbox.envelopes) == 2
    assert [each.message.type for each in await mail_of(bob.client)] == [MessageType.NEW]


async def _public_key(world: Outside) -> str | None:
    answer = await rpc(world.house, "dm3_getDeliveryServiceProperties")
    for channel in json.loads(answer.json()["result"])["notificationChannel"]:
        if channel["type"] == "PUSH":
            return str(channel["config"]["publicVapidKey"])
    return None
