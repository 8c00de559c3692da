"""The routes under /notifications over HTTP, in the reference's shapes and sentences."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.email.adapter import EmailAdapter
from adapters.email.settings import EmailSettings
from gateway.app import Gateway
from gateway.ids import EnsName, Network
from gateway.relay.notify.codes import TOO_SOON
from gateway.relay.notify.subscription import parse_subscription
from gateway.settings import NotificationSettings
from gateway.store.channels import ChannelKind, PutChannel
from tests.integration.relay.reporting import Outside, Person, log_in, outside
from tests.support.asgi import serving
from tests.support.house import House, rpc, running_house
from tests.support.push import Browser

BROWSER = Browser("https://push.example/send/1")
MAIL = {"recipientValue": "bob@example.net", "notificationChannelType": "EMAIL"}
PUSH = {"recipientValue": BROWSER.text, "notificationChannelType": "PUSH"}
ROUTES = [
    ("GET", "/global/NAME", None),
    ("POST", "/global/NAME", {"isEnabled": True}),
    ("GET", "/NAME", None),
    ("POST", "/NAME", PUSH),
    ("POST", "/otp/NAME", {"notificationChannelType": "EMAIL"}),
    ("POST", "/otp/verify/NAME", {"otp": "12345", "notificationChannelType": "EMAIL"}),
    ("POST", "/channel/NAME", {"isEnabled": True, "notificationChannelType": "PUSH"}),
    ("DELETE", "/channel/PUSH/NAME", None),
]
SWITCHED_BY_GLOBAL = ROUTES[3:]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Offers mail and web push; nothing is sent."""
    adapter = EmailAdapter(EmailSettings.model_validate({"domain": "gw.example"}))
    async with running_house(tmp_path / "house", adapters={Network("email"): adapter}, working=False) as running:
        yield running


@pytest.fixture
async def bob(house: House) -> Person:
    """Has an account; notifications are on."""
    return await log_in(house, await house.native("bob.eth", "bob"), "bob", notify=True)


async def put(bob: Person, kind: ChannelKind, *, verified: bool = True) -> None:
    recipient = "bob@example.net" if kind is ChannelKind.EMAIL else parse_subscription(BROWSER.text).to_text()
    await bob.house.gateway.store.commit(PutChannel(bob.address, kind, recipient, verified, 0))


# --- who may ask ----------------------------------------------------------------------------------------------------


async def test_every_route_wants_a_token_of_the_owner(house: House, bob: Person) -> None:
    eve = await log_in(house, await house.native("eve.eth", "carol"), "carol", notify=True)
    for method, path, body in ROUTES:
        for headers in (
            {},
            {"authorization": "Bearer " + "x" * 43},
            {"authorization": f"Basic {bob.token}"},
            {"authorization": f"Bearer {eve.token}"},
        ):
            answer = await bob.ask(method, path, body, headers=headers)
            assert answer.status_code == 401, (method, path)
            assert answer.json()["error"]


async def test_every_route_has_all_its_spellings(bob: Person) -> None:
    for method, path, body in ROUTES:
        answers = set()
        for prefix in ("/ds", ""):
            for slash in ("", "/"):
                await put(bob, ChannelKind.PUSH)
                await put(bob, ChannelKind.EMAIL, verified=False)
                bob.prefix = prefix
                answer = await bob.ask(method, path + slash, body)
                answers.add((answer.status_code, answer.text))
        # A second code within a minute is another answer.
        assert len(answers) == (2 if path == "/otp/NAME" else 1), (method, path)
        assert {status for status, _ in answers} <= {200, 400}


async def test_segments_of_routes_are_no_names(bob: Person) -> None:
    for segment in ("otp", "global", "channel", "verify"):
        for path in ("/SEGMENT", "/SEGMENT/", "/otp/SEGMENT", "/otp/SEGMENT/", "/channel/SEGMENT"):
            answer = await bob.ask("POST", path.replace("SEGMENT", segment), PUSH | {"isEnabled": True})
            assert answer.status_code == 404, (segment, path)
    assert await bob.channels() == []


async def test_what_is_no_name_is_refused(bob: Person) -> None:
    for name in ("no%20name", "-", "a..eth"):
        answer = await bob.ask("GET", f"/{name}")
        assert answer.status_code in (400, 401)


# --- the switch of the account --------------------------------------------------------------------------------------


async def test_the_global_switch(bob: Person) -> None:
    for enabled in (False, True):
        answer = await bob.must("POST", "/global/NAME", {"isEnabled": enabled})
        assert answer.text == "OK"
        assert (await bob.must("GET", "/global/NAME")).json() == {"isEnabled": enabled}


async def test_the_switch_is_a_boolean(bob: Person) -> None:
    values: list[Any] = [None, "true", 1, 0, [], {}]
    for body in ({}, *({"isEnabled": value} for value in values)):
        assert await bob.refused("POST", "/global/NAME", body) == "Invalid value"


async def test_without_an_account_it_is_off_and_says_why_it_stays_so(house: House) -> None:
    """Whose profile names another relay has a session for what still waits, and no account."""
    client = await house.native("carol.eth", "carol", service=EnsName("ds.elsewhere.eth"))
    carol = await log_in(house, client, "carol", notify=None)
    assert (await carol.must("GET", "/global/NAME")).json() == {"isEnabled": False}
    assert "account" in await carol.refused("POST", "/global/NAME", {"isEnabled": True}, status=404)
    await carol.must("POST", "/global/NAME", {"isEnabled": False})
    assert await carol.channels() == []


async def test_while_it_is_off_nothing_is_changed(bob: Person) -> None:
    await put(bob, ChannelKind.PUSH)
    await bob.must("POST", "/global/NAME", {"isEnabled": False})
    for method, path, body in SWITCHED_BY_GLOBAL:
        assert await bob.refused(method, path, body) == "Global notifications is off"
        assert await bob.channels() == []
    await bob.must("POST", "/global/NAME", {"isEnabled": True})
    assert [channel["type"] for channel in await bob.channels()] == ["PUSH"]


# --- channels -------------------------------------------------------------------------------------------------------


async def test_a_mail_address_waits_for_its_code(bob: Person) -> None:
    await bob.must("POST", "/NAME", MAIL)
    assert await bob.channels() == [
        {"type": "EMAIL", "config": {"recipientValue": "bob@example.net", "isEnabled": True, "isVerified": False}}
    ]


async def test_a_browser_needs_no_code(bob: Person) -> None:
    await bob.must("POST", "/NAME", PUSH)
    [channel] = await bob.channels()
    assert channel["type"] == "PUSH"
    assert (channel["config"]["isEnabled"], channel["config"]["isVerified"]) == (True, True)
    kept = json.loads(channel["config"]["recipientValue"])
    assert kept == {"endpoint": BROWSER.endpoint, "keys": BROWSER.subscription["keys"]}


async def test_one_channel_of_each_kind(bob: Person) -> None:
    await bob.must("POST", "/NAME", MAIL)
    await bob.must("POST", "/NAME", PUSH)
    other = Browser("https://push.example/send/2")
    await bob.must("POST", "/NAME", PUSH | {"recipientValue": other.text})
    channels = await bob.channels()
    assert [channel["type"] for channel in channels] == ["EMAIL", "PUSH"]
    assert "send/2" in channels[1]["config"]["recipientValue"]


async def test_switching_and_removing_a_channel(bob: Person) -> None:
    await bob.must("POST", "/NAME", PUSH)
    for enabled in (False, False, True):
        await bob.must("POST", "/channel/NAME", {"isEnabled": enabled, "notificationChannelType": "PUSH"})
        assert (await bob.channels())[0]["config"]["isEnabled"] is enabled
    answer = await bob.must("DELETE", "/channel/PUSH/NAME")
    assert answer.json() == {"message": "Notification channel PUSH has been removed successfully"}
    assert await bob.channels() == []


REFUSALS = [
    ("POST", "/NAME", {}, "Notification Channel Type is missing"),
    ("POST", "/NAME", {"notificationChannelType": "SMS"}, "Invalid notification channel type"),
    ("POST", "/NAME", {"notificationChannelType": ["EMAIL"]}, "Invalid notification channel type"),
    ("POST", "/NAME", {"notificationChannelType": "EMAIL"}, "Recipient value is missing"),
    ("POST", "/NAME", MAIL | {"recipientValue": ""}, "Recipient value is missing"),
    ("POST", "/NAME", MAIL | {"recipientValue": "bob"}, "Invalid email value"),
    ("POST", "/NAME", MAIL | {"recipientValue": 5}, "Invalid email value"),
    ("POST", "/NAME", MAIL | {"recipientValue": "b@example.net\r\nBcc: e@example.net"}, "Invalid email value"),
    ("POST", "/NAME", PUSH | {"recipientValue": "bob@example.net"}, "Invalid push value"),
    ("POST", "/NAME", PUSH | {"recipientValue": "{}"}, "Invalid push value"),
    ("POST", "/NAME", PUSH | {"recipientValue": {"endpoint": "x"}}, "Invalid push value"),
    ("POST", "/channel/NAME", {"isEnabled": True}, "Notification Channel Type is missing"),
    ("POST", "/channel/NAME", {"notificationChannelType": "PUSH"}, "isEnabled value is missing"),
    (
        "POST",
        "/channel/NAME",
        {"notificationChannelType": "PUSH", "isEnabled": "yes"},
        "isEnabled must have boolean value",
    ),
    (
        "POST",
        "/channel/NAME",
        {"notificationChannelType": "PUSH", "isEnabled": True},
        "PUSH notification channel is not configured",
    ),
    ("DELETE", "/channel/SMS/NAME", None, "Invalid notification channel type"),
    ("DELETE", "/channel/EMAIL/NAME", None, "EMAIL notification channel is not configured"),
    ("POST", "/otp/NAME", {}, "Notification Channel Type is missing"),
    ("POST", "/otp/NAME", {"notificationChannelType": "EMAIL"}, "EMAIL notification channel is not configured"),
    ("POST", "/otp/verify/NAME", {"notificationChannelType": "EMAIL"}, "OTP is missing"),
    ("POST", "/otp/verify/NAME", {"otp": "12345"}, "Notification Channel Type is missing"),
    (
        "POST",
        "/otp/verify/NAME",
        {"otp": "12345", "notificationChannelType": "EMAIL"},
        "EMAIL notification channel is not configured",
    ),
]


async def test_refusals_have_the_sentences_of_the_reference(bob: Person) -> None:
    for method, path, body, sentence in REFUSALS:
        assert await bob.refused(method, path, body) == sentence, (method, path, body)
    assert await bob.channels() == []


async def test_a_channel_that_is_off_or_verified_has_no_codes(bob: Person) -> None:
    body = {"otp": "12345", "notificationChannelType": "EMAIL"}
    await put(bob, ChannelKind.EMAIL)
    for path in ("/otp/NAME", "/otp/verify/NAME"):
        assert await bob.refused("POST", path, body) == "EMAIL notification channel is already verified"
    await bob.must("POST", "/channel/NAME", {"isEnabled": False, "notificationChannelType": "EMAIL"})
    for path in ("/otp/NAME", "/otp/verify/NAME"):
        assert await bob.refused("POST", path, body) == "EMAIL notification channel is not enabled"
    await put(bob, ChannelKind.PUSH)
    assert (
        await bob.refused("POST", "/otp/NAME", {"notificationChannelType": "PUSH"})
        == "PUSH notification channel is already verified"
    )


BAD_BODIES = (b"", b"{", b"[]", b'"x"', b'{"isEnabled":NaN}', b'{"a":1,"a":2}', b"\xff", b"[" * 500)


async def test_bad_bodies_are_refused_in_json(bob: Person) -> None:
    for path in ("/global/bob.eth", "/bob.eth", "/otp/bob.eth", "/otp/verify/bob.eth", "/channel/bob.eth"):
        for body in BAD_BODIES:
            answer = await bob.house.http.post(
                f"{bob.house.url}/ds/notifications{path}",
                content=body,
                headers={"authorization": f"Bearer {bob.token}"},
            )
            assert answer.status_code == 400, (path, body)
            assert answer.json()["error"]


@pytest.mark.attack(30)
async def test_a_large_body_is_refused(bob: Person) -> None:
    for value in ("a@" * 50_000, "{" * 100_000, '"' * 100_000):
        assert (await bob.ask("POST", "/NAME", MAIL | {"recipientValue": value})).status_code == 413


@pytest.mark.attack(13)
@pytest.mark.weakness(12)
async def test_endpoints_inside_are_refused(tmp_path: Path) -> None:
    strict = {"DM3_GATEWAY__CHAIN__ALLOW_PRIVATE_GATEWAYS": "false"}
    async with running_house(tmp_path / "strict", overrides=strict, working=False) as house:
        bob = await log_in(house, await house.native("bob.eth", "bob"), "bob", notify=True)
        for endpoint in (
            "http://push.example/x",
            f"{house.url}/x",
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://10.0.0.1/x",
            "https://169.254.169.254/latest",
            "https://push.example:8443/x",
            "https://user@push.example/x",
        ):
            body = PUSH | {"recipientValue": Browser(endpoint).text}
            assert await bob.refused("POST", "/NAME", body) == "Invalid push value", endpoint
        await bob.must("POST", "/NAME", PUSH)


# --- what is offered ------------------------------------------------------------------------------------------------


async def test_what_is_not_offered_is_not_supported(house: House, bob: Person) -> None:
    """No adapter that sends mail, no VAPID key."""
    settings = house.settings.model_copy(update={"notifications": NotificationSettings()})
    for kind in ChannelKind:
        await put(bob, kind, verified=False)
    bare = await Gateway.open(settings, {})
    try:
        async with serving(bare.app) as port:
            for body in (MAIL, PUSH):
                for path in ("bob.eth", "otp/bob.eth", "otp/verify/bob.eth", "channel/bob.eth"):
                    answer = await house.http.post(
                        f"http://127.0.0.1:{port}/ds/notifications/{path}",
                        json=body | {"isEnabled": True, "otp": "12345"},
                        headers={"authorization": f"Bearer {bob.token}"},
                    )
                    sentence = (
                        f"Notification channel {body['notificationChannelType']} is currently not supported by the DS"
                    )
                    assert (answer.status_code, answer.json()) == (400, {"error": sentence})
    finally:
        await bare.close()
    assert [channel["config"]["isVerified"] for channel in await bob.channels()] == [False, False]


@pytest.mark.weakness(11)
async def test_the_properties_name_types_and_a_public_key_and_nothing_else(house: House) -> None:
    answer = await rpc(house, "dm3_getDeliveryServiceProperties")
    channels = json.loads(answer.json()["result"])["notificationChannel"]
    mail, push = channels
    assert mail == {"type": "EMAIL", "config": {}}
    assert push.keys() == {"type", "config"}
    assert push["config"].keys() == {"publicVapidKey"}
    secret = (house.config.parent / "vapid.key").read_text().strip()
    assert len(secret) == 43
    assert secret not in answer.text
    assert "gw.example" not in answer.text
    for word in ("smtp", "pass", "private", "host", "127.0.0.1"):
        assert word not in json.dumps(channels).lower()


# --- codes by real mail ---------------------------------------------------------------------------------------------


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Outside]:
    async with outside(tmp_path / "house") as running:
        yield running


@pytest.mark.weakness(13)
async def test_the_way_of_a_mail_address(world: Outside) -> None:
    bob = await log_in(world.house, await world.house.native("bob.eth", "bob"), "bob")
    await bob.must("POST", "/global/NAME", {"isEnabled": True})
    await bob.must("POST", "/NAME", MAIL)
    code = await world.code(1)
    [mail] = world.mailbox.mails
    assert mail["To"] == "bob@example.net"
    assert mail["From"] == "DM3 gateway <noreply@gw.example>"
    assert mail["Subject"] == "Email Verification"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "bob.eth" in mail.get_content()
    assert world.mailbox.envelopes[0].rcpt_tos == ["bob@example.net"]

    verify = {"notificationChannelType": "EMAIL"}
    other = f"{(int(code) + 1) % 100_000:05}"
    assert await bob.refused("POST", "/otp/verify/NAME", verify | {"otp": other}) == "Invalid OTP"
    assert await bob.refused("POST", "/otp/verify/NAME", verify | {"otp": int(code)}) == "Invalid OTP"
    assert (await bob.must("POST", "/otp/verify/NAME", verify | {"otp": code})).text == "OK"
    assert (await bob.channels())[0]["config"]["isVerified"] is True


@pytest.mark.weakness(13)
async def test_guesses_and_requests_are_limited(world: Outside) -> None:
    bob = await log_in(world.house, await world.house.native("bob.eth", "bob"), "bob", notify=True)
    await bob.must("POST", "/NAME", MAIL)
    code = await world.code(1)
    verify = {"notificationChannelType": "EMAIL"}
    guesses = [verify | {"otp": f"{(int(code) + 1 + n) % 100_000:05}"} for n in range(50)]
    sentences = await asyncio.gather(*(bob.refused("POST", "/otp/verify/NAME", guess) for guess in guesses))
    assert sentences.count("Invalid OTP") == 5
    assert sentences.count("Otp not found, please resend the OTP for verification") == 45
    not_found = await bob.refused("POST", "/otp/verify/NAME", verify | {"otp": code})
    assert not_found == "Otp not found, please resend the OTP for verification"

    assert await bob.refused("POST", "/otp/NAME", verify) == TOO_SOON
    assert await bob.refused("POST", "/NAME", MAIL) == TOO_SOON
    world.clock.ahead += 60_000
    await bob.must("POST", "/otp/NAME", verify)
    second = await world.code(2)
    world.clock.ahead += 10 * 60_000
    assert await bob.refused("POST", "/otp/verify/NAME", verify | {"otp": second}) == "OTP is expired"
    await bob.must("POST", "/otp/NAME", verify)
    await bob.must("POST", "/otp/verify/NAME", verify | {"otp": await world.code(3)})


async def test_a_day_has_so_many_codes(world: Outside) -> None:
    bob = await log_in(world.house, await world.house.native("bob.eth", "bob"), "bob", notify=True)
    for n in range(5):
        await bob.must("POST", "/NAME", MAIL)
        await world.code(n + 1)
        world.clock.ahead += 60_000
    assert "try again later" in await bob.refused("POST", "/NAME", MAIL, status=429)
    assert len(world.mailbox.envelopes) == 5
