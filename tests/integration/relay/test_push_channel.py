"""Web push against a push service on a socket: sealed for the browser, signed by us, sent nowhere but to the public."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence

import pytest
from cryptography.exceptions import InvalidSignature
from http_ece import ECEException

from gateway.ens.egress import GuardedClient
from gateway.errors import FetchRefused, GatewayError, InvalidInput
from gateway.ids import EnsName, NativeId
from gateway.lifecycle import now_ms
from gateway.relay.notify.news import News
from gateway.relay.notify.offered import Gone
from gateway.relay.notify.push_channel import KEPT_SECONDS, TOKEN_SECONDS, PushChannel
from gateway.relay.notify.subscription import parse_subscription
from gateway.relay.notify.vapid import VapidKey
from gateway.sdk.delivery import Delivered, Rejected, Retry
from tests.integration.ens.servers import Asked, Server, answering, response, scripted, silence
from tests.support.push import Browser, PushService, push_service, vapid_claims

NEWS = News(recipient=EnsName("bob.eth"), sender=EnsName("alice.eth"), verified=True, service=EnsName("ds.gw.eth"))
SUBJECT = "mailto:operator@gw.example"
KEY = VapidKey(secrets.token_bytes(31).rjust(32, b"\1"))


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with push_service() as running:
        yield running


@pytest.fixture
async def channel() -> AsyncIterator[PushChannel]:
    """May push to this machine."""
    async with GuardedClient(allow_private=True, timeout=30) as client:
        yield PushChannel(key=KEY, subject=SUBJECT, client=client, clock=now_ms)


@pytest.fixture
async def strict() -> AsyncIterator[PushChannel]:
    """As on the Internet."""
    async with GuardedClient(timeout=5) as client:
        yield PushChannel(key=KEY, subject=SUBJECT, client=client, clock=now_ms)


def stored(browser: Browser) -> str:
    return parse_subscription(browser.text).to_text()


async def test_the_browser_reads_the_news(service: PushService, channel: PushChannel) -> None:
    browser = service.browser("/send/abc?d=e")
    assert await channel.tell(stored(browser), NEWS, "key") == Delivered(NativeId("key"))
    [push] = service.pushes
    assert push.path == "/send/abc"
    assert browser.open(push) == {"title": "New Message", "body": "You received a new message from alice.eth."}
    assert push.headers["ttl"] == str(KEPT_SECONDS)
    assert push.headers["content-encoding"] == "aes128gcm"
    assert b"alice" not in push.body


async def test_the_push_service_knows_who_sent_it(service: PushService, channel: PushChannel) -> None:
    await channel.tell(stored(service.browser()), NEWS, "key")
    claims = vapid_claims(service.pushes[0], KEY.public)
    assert claims["aud"] == service.url
    assert claims["sub"] == SUBJECT
    assert abs(claims["exp"] - now_ms() // 1000 - TOKEN_SECONDS) < 60
    assert channel.published() == {"publicVapidKey": KEY.public}


async def test_the_checks_of_these_tests_can_fail(service: PushService, channel: PushChannel) -> None:
    browser, other = service.browser("/send/1"), service.browser("/send/1")
    await channel.tell(stored(browser), NEWS, "key")
    with pytest.raises(ECEException):
        other.open(service.pushes[0])
    push = service.pushes[0]
    head, claims, signature = push.headers["authorization"].split(".")
    push.headers["authorization"] = f"{head}.{claims[:-2]}AA.{signature}"
    with pytest.raises(InvalidSignature):
        vapid_claims(push, KEY.public)


async def test_every_push_is_sealed_anew(service: PushService, channel: PushChannel) -> None:
    browser = service.browser()
    for _ in range(2):
        await channel.tell(stored(browser), NEWS, "key")
    first, second = service.pushes
    assert first.body != second.body
    assert browser.open(first) == browser.open(second)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (410, Gone()),
        (404, Gone()),
        (403, Rejected("the push service said 403")),
        (503, Retry("the push service said 503")),
    ],
)
async def test_answers(service: PushService, channel: PushChannel, status: int, told: object) -> None:
    service.answers.append(status)
    assert await channel.tell(stored(service.browser()), NEWS, "key") == told


async def test_a_pause_that_is_asked_for_is_kept(channel: PushChannel) -> None:
    async with scripted(answering(response(429, b"", "text/plain", ("Retry-After", "17")))) as server:
        told = await channel.tell(stored(Browser(server.url())), NEWS, "key")
    assert told == Retry("the push service said 429", 17.0)


async def test_a_push_service_that_is_silent_or_away_is_tried_later() -> None:
    async with GuardedClient(allow_private=True, timeout=0.2) as client, scripted(silence) as server:
        channel = PushChannel(key=KEY, subject=SUBJECT, client=client, clock=now_ms)
        assert isinstance(await channel.tell(stored(Browser(server.url())), NEWS, "key"), Retry)
        gone = Browser(server.url())
    async with GuardedClient(allow_private=True, timeout=0.2) as client:
        channel = PushChannel(key=KEY, subject=SUBJECT, client=client, clock=now_ms)
        assert isinstance(await channel.tell(stored(gone), NEWS, "key"), Retry)


async def test_an_endless_answer_is_cut_off(channel: PushChannel) -> None:
    async with scripted(answering(response(500, b"x" * 1_000_000))) as server:
        assert isinstance(await channel.tell(stored(Browser(server.url())), NEWS, "key"), Rejected)


@pytest.mark.attack(13)
@pytest.mark.weakness(12)
async def test_a_redirect_is_not_followed(channel: PushChannel) -> None:
    async with scripted(answering(response())) as canary:

        async def redirecting(asked: Asked, writer: object) -> None:
            writer.write(response(307, b"", "text/plain", ("Location", canary.url())))  # type: ignore[attr-defined]

        async with scripted(redirecting) as server:
            assert isinstance(await channel.tell(stored(Browser(server.url())), NEWS, "key"), Rejected)
        assert canary.connections == 0


# --- endpoints that strangers may not make us push to ---------------------------------------------------------------


def forbidden(port: int) -> Sequence[str]:
    return (
        f"http://127.0.0.1:{port}/",
        f"https://127.0.0.1:{port}/",
        f"http://localhost:{port}/",
        f"https://localhost:{port}/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0.0.0.0/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
        "http://push.example/",
        "https://push.example:8443/",
        "https://user:secret@push.example/",
        "ftp://push.example/",
        "file:///etc/passwd",
        "https://push.example/\r\nX: y",
        "//push.example/",
        "https:///",
        "javascript:alert(1)",
    )


@pytest.fixture
async def canary() -> AsyncIterator[Server]:
    """Must not be reached."""
    async with scripted(answering(response())) as server:
        yield server


@pytest.mark.attack(13)
@pytest.mark.weakness(12)
async def test_forbidden_endpoints_are_refused_when_they_are_registered(strict: PushChannel, canary: Server) -> None:
    for endpoint in forbidden(canary.port):
        with pytest.raises(GatewayError) as caught:
            strict.check(stored(Browser(endpoint)))
        assert isinstance(caught.value, FetchRefused | InvalidInput), endpoint
    assert canary.connections == 0


@pytest.mark.attack(13)
@pytest.mark.weakness(12)
async def test_and_refused_once_more_when_they_would_be_pushed_to(strict: PushChannel, canary: Server) -> None:
    """A row that is there already, or a name that leads elsewhere by now."""
    for endpoint in forbidden(canary.port):
        assert isinstance(await strict.tell(stored(Browser(endpoint)), NEWS, "key"), Rejected), endpoint
    assert canary.connections == 0


@pytest.mark.attack(14)
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1"])
async def test_a_public_name_that_leads_inside_is_not_pushed_to(canary: Server, address: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return [address]

    async with GuardedClient(resolve=resolve, timeout=30) as client:
        channel = PushChannel(key=KEY, subject=SUBJECT, client=client, clock=now_ms)
        browser = Browser("https://push.example/")
        channel.check(stored(browser))
        assert isinstance(await channel.tell(stored(browser), NEWS, "key"), Rejected)
    assert canary.connections == 0


async def test_public_endpoints_are_taken(strict: PushChannel) -> None:
    for endpoint in ("https://fcm.googleapis.example/fcm/send/a:b-c_d", "https://1.1.1.1/x", "https://a.b:443/?q=1"):
        strict.check(stored(Browser(endpoint)))


async def test_a_key_that_is_no_point_is_refused_when_it_is_registered(strict: PushChannel) -> None:
    subscription = parse_subscription(Browser("https://push.example/").text)
    spoilt = subscription.p256dh[:-1] + bytes([subscription.p256dh[-1] ^ 1])
    text = type(subscription)(subscription.endpoint, spoilt, subscription.auth).to_text()
    with pytest.raises(InvalidInput):
        strict.check(text)
