"""Questions to other services: asked once for a while, bounded, and no answer is better than a passing one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.dm3.extension import ProfileExtension, ServiceProperties
from gateway.dm3.message import MessageType
from gateway.dm3.service_profile import DeliveryServiceProfile
from gateway.ens import relays as relays_module
from gateway.ens.egress import GuardedClient
from gateway.ens.relays import EXTENSION_LIFE, PROPERTIES_LIFE, RemoteRelays
from gateway.errors import FetchFailed
from gateway.ids import EnsName
from tests.integration.bridge.scripted import ScriptedService, refusal
from tests.integration.bridge.test_outbound_retries import Hands
from tests.support.asgi import serving

CAROL, DAVE = EnsName("carol.eth"), EnsName("dave.eth")
ONLY_NEW = {"supportedMessageTypes": ["NEW"]}


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    async with GuardedClient(allow_private=True) as opened:
        yield opened


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def service() -> ScriptedService:
    return ScriptedService(extension=ONLY_NEW)


@pytest.fixture
async def profile(service: ScriptedService) -> AsyncIterator[DeliveryServiceProfile]:
    async with serving(Starlette(routes=[Route("/rpc", service.handle, methods=["POST"])])) as port:
        yield DeliveryServiceProfile.of(service.keys, f"http://127.0.0.1:{port}")


@pytest.fixture
def relays(client: GuardedClient, hands: Hands) -> RemoteRelays:
    return RemoteRelays(client, hands)


async def test_an_extension_is_remembered_for_each_name_for_a_minute(
    relays: RemoteRelays, hands: Hands, service: ScriptedService, profile: DeliveryServiceProfile
) -> None:
    for name in (CAROL, DAVE, CAROL, DAVE):
        assert (await relays.extension(profile, name)).types == {MessageType.NEW}
    assert [params for _, params in service.asked] == [[CAROL], [DAVE]]
    service.extension = {}
    hands.now += EXTENSION_LIFE - 1
    assert (await relays.extension(profile, CAROL)).types == {MessageType.NEW}
    hands.now += 2
    assert (await relays.extension(profile, CAROL)).types == set(MessageType)
    assert len(service.asked) == 3
    assert EXTENSION_LIFE <= 60


async def test_properties_are_remembered_for_five_minutes(
    relays: RemoteRelays, hands: Hands, service: ScriptedService, profile: DeliveryServiceProfile
) -> None:
    for passed in (0, PROPERTIES_LIFE - 1):
        hands.now += passed
        assert (await relays.properties(profile)).size_limit == 100_000
    assert len(service.asked) == 1
    hands.now += 2
    service.properties = {"sizeLimit": 7}
    assert (await relays.properties(profile)).size_limit == 7
    assert PROPERTIES_LIFE == 300


Question = Callable[[RemoteRelays, DeliveryServiceProfile], Awaitable[Any]]
QUESTIONS: dict[str, tuple[Question, Any]] = {
    "properties": (lambda relays, profile: relays.properties(profile), ServiceProperties()),
    "extension": (lambda relays, profile: relays.extension(profile, CAROL), ProfileExtension()),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    "answer", [(503, ""), (429, ""), (500, "<html>"), (200, refusal(-32603)), (400, refusal(-32005))]
)
async def test_no_time_now_is_not_remembered(
    relays: RemoteRelays, service: ScriptedService, profile: DeliveryServiceProfile, question: str, answer: Any
) -> None:
    ask, nothing = QUESTIONS[question]
    service.properties = service.extension = answer
    assert await ask(relays, profile) == nothing
    service.properties = service.extension = {"sizeLimit": 5, **ONLY_NEW}
    assert await ask(relays, profile) != nothing


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    "answer",
    [
        (405, {"error": "Method not allowed"}),
        (400, {"error": "unknown user"}),
        (404, ""),
        (200, refusal(-32601)),
        (200, "x" * 100_000),
        (200, {"result": "[" * 200}),
        (200, {"result": '{"a":1,"a":2}'}),
        (200, []),
        (302, ""),
    ],
    ids=lambda answer: str(answer)[:40],
)
async def test_not_to_know_is_an_answer_and_remembered(
    relays: RemoteRelays, service: ScriptedService, profile: DeliveryServiceProfile, question: str, answer: Any
) -> None:
    ask, nothing = QUESTIONS[question]
    service.properties = service.extension = answer
    assert await ask(relays, profile) == await ask(relays, profile) == nothing
    assert len(service.asked) == 1


@pytest.mark.parametrize("question", QUESTIONS)
async def test_silence_is_no_answer(client: GuardedClient, service: ScriptedService, question: str) -> None:
    ask, _ = QUESTIONS[question]
    nobody = DeliveryServiceProfile.of(service.keys, "http://127.0.0.1:9")
    with pytest.raises(FetchFailed):
        await ask(RemoteRelays(client), nobody)


async def test_what_is_remembered_has_an_end(
    client: GuardedClient, service: ScriptedService, profile: DeliveryServiceProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays_module, "REMEMBERED", 3)
    relays = RemoteRelays(client)
    names = [EnsName(f"n{number}.eth") for number in range(5)]
    for name in names:
        await relays.extension(profile, name)
    await relays.extension(profile, names[-1])
    assert len(service.asked) == 5, "the newest are kept"
    await relays.extension(profile, names[0])
    assert len(service.asked) == 6
