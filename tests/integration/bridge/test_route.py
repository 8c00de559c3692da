"""Messages of bridged people through the operator's relays: only the first is spoken to, nothing goes round them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.responses import Response

from gateway.bridge import route as route_module
from gateway.bridge import wording
from gateway.bridge.jobs import JobKind, decode_outbound
from gateway.dm3.keys import ServiceKeys
from gateway.dm3.layers import LayerMethod, open_layer
from gateway.ens import relays
from gateway.ens.egress import GuardedClient
from gateway.ids import EnsName, NativeId, Network
from gateway.lifecycle import now_ms
from gateway.sdk import DeliveryState
from gateway.store.jobs import Job, JobState
from gateway.store.queue import QueueList
from gateway.store.status import StatusOf
from tests.integration.bridge.scripted import BOB, ScriptedService, person_at
from tests.integration.relay.forwarding import DAY, FORWARDS, ForwardingService, forwarding_house
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.waiting import mail_of, until

ONE, TWO, FAR = EnsName("ds.one.eth"), EnsName("ds.two.eth"), EnsName("ds.far.eth")
PAPER = Network("paper")


@asynccontextmanager
async def routed(
    folder: Path, paper: PaperAdapter, *route: str, required: bool = True, **options: Any
) -> AsyncIterator[House]:
    """A gateway whose people write through these relays."""
    overrides = {
        "DM3_GATEWAY__RELAY__ROUTE": json.dumps(route),
        "DM3_GATEWAY__RELAY__ROUTE_REQUIRED": json.dumps(required),
    }
    async with running_house(folder, adapters={paper.name: paper}, overrides=overrides, **options) as running:
        yield running


def opened(text: str, *keys: ServiceKeys) -> list[str]:
    """Next hops of a chain, and what the last relay submits."""
    found = []
    for each in keys:
        layer = open_layer(text, each)
        found.append(layer.next)
        text = layer.payload
    assert layer.method is LayerMethod.SUBMIT
    return [*found, text]


async def outbound_jobs(house: House) -> list[Job]:
    jobs = await house.gateway.store.read(QueueList(JobState.READY, 100))
    return [job for job in jobs if job.kind == JobKind.OUTBOUND]


@pytest.fixture
def spoken_to(monkeypatch: pytest.MonkeyPatch) -> list[tuple[GuardedClient, str, str]]:
    """Every call of a JSON-RPC method by any gateway of this process: who, where, which."""
    calls: list[tuple[GuardedClient, str, str]] = []
    post = GuardedClient.post_json

    async def noted(self: GuardedClient, url: str, value: Any, **options: Any) -> Any:
        calls.append((self, url, value["method"]))
        return await post(self, url, value, **options)

    monkeypatch.setattr(GuardedClient, "post_json", noted)
    return calls


async def test_a_message_through_two_relays(
    tmp_path: Path, paper: PaperAdapter, spoken_to: list[tuple[GuardedClient, str, str]]
) -> None:
    async with AsyncExitStack() as stack:
        near = await stack.enter_async_context(routed(tmp_path / "near", paper, ONE, TWO))
        one, two, far = [
            await stack.enter_async_context(
                forwarding_house(tmp_path / name, chain=near.chain, parent=EnsName(f"{name}.eth"), working=True)
            )
            for name in ("one", "two", "far")
        ]
        native = await far.native("native.eth")
        await paper.write(BOB, native.name, "through relays", "n1")
        (received,) = await mail_of(native, seconds=30)
        assert received.verified
        assert received.sender == "bob.example.org.paper.gw.eth"
        client = near.gateway._worker._handlers[JobKind.OUTBOUND]._remote._client  # type: ignore[attr-defined]
        own = {(url, method) for who, url, method in spoken_to if who is client}
        assert own == {
            (f"{one.url}/ds/rpc", "dm3_getDeliveryServiceProperties"),
            (f"{one.url}/ds/rpc", "dm3_forward"),
        }, "neither the second relay nor the recipient's service is asked anything"
        assert {method for _, url, method in spoken_to if url.startswith(two.url)} >= {"dm3_forward"}

        async def told() -> Any:
            return await near.gateway.store.read(StatusOf(PAPER, NativeId("n1"), native.name))

        status = await until(told)
        assert (status.state, status.reason) == (DeliveryState.SENT, wording.ROUTED), "no more is known"


async def test_receipts_come_back_all_the_same(tmp_path: Path, paper: PaperAdapter) -> None:
    """There is no way back through the layers: the recipient's own READ_RECEIVED tells that it arrived."""
    other = PaperAdapter()
    async with AsyncExitStack() as stack:
        near = await stack.enter_async_context(routed(tmp_path / "near", paper, ONE))
        chain = near.chain
        await stack.enter_async_context(
            forwarding_house(tmp_path / "one", chain=chain, parent=EnsName("one.eth"), working=True)
        )
        await stack.enter_async_context(
            running_house(tmp_path / "far", adapters={other.name: other}, chain=chain, parent=EnsName("far.eth"))
        )
        await paper.write(BOB, EnsName("ann.example.net.paper.far.eth"), "hello", "n0")
        await other.write("ann@example.net", EnsName("bob.example.org.paper.gw.eth"), "first", "f0")
        await paper.wait_delivered(1)
        await paper.write(BOB, EnsName("ann.example.net.paper.far.eth"), "hello again", "n1")
        report = await paper.wait_report(DeliveryState.DELIVERED, seconds=30)
        assert report.native_id in ("n0", "n1")


async def test_the_relays_open_what_was_sealed_to_them(tmp_path: Path, paper: PaperAdapter) -> None:
    """Made for keys of the test's own; the recipient's service gets the envelope and is not called."""
    first, second, last = ForwardingService(), ForwardingService(), ScriptedService()
    async with (
        routed(tmp_path / "near", paper, ONE, TWO) as near,
        first.at(near.chain, ONE),
        second.at(near.chain, TWO),
        last.at(near.chain, FAR),
    ):
        far = await person_at(near, FAR)
        await paper.write(BOB, far.name, "hello", "n1")
        await first.wait_taken(1)
        two, destination, envelope = opened(first.taken[0], first.keys, second.keys)
    assert (two, destination) == (TWO, FAR)
    assert json.loads(envelope).keys() == {"message", "metadata"}
    assert (second.times_asked, second.taken, last.taken) == (0, [], [])


async def test_a_doubtful_answer_is_repeated_with_the_same_bytes(tmp_path: Path, paper: PaperAdapter) -> None:
    first = ForwardingService(answers=[(503, ""), (500, "oops"), (429, "")])
    async with (
        routed(tmp_path / "near", paper, ONE) as near,
        first.at(near.chain, ONE),
        ScriptedService().at(near.chain, FAR),
    ):
        far = await person_at(near, FAR)
        await paper.write(BOB, far.name, "hello", "n1")
        await first.wait_taken(4)
    assert len(set(first.taken)) == 1


async def test_what_may_have_been_sent_is_on_disk_before(tmp_path: Path, paper: PaperAdapter) -> None:
    """So a node that dies between question and answer repeats the same."""
    first = ForwardingService(answers=[(503, "")] * 1000)
    async with (
        routed(tmp_path / "near", paper, ONE) as near,
        first.at(near.chain, ONE),
        ScriptedService().at(near.chain, FAR),
    ):
        far = await person_at(near, FAR)
        await paper.write(BOB, far.name, "hello", "n1")
        await first.wait_taken(1)
        [job] = await outbound_jobs(near)
        [sealed] = decode_outbound(job.payload).sealed.values()
        assert sealed.wrapped is not None
        assert sealed.wrapped.text == first.taken[0]
        assert opened(first.taken[0], first.keys)[-1] == sealed.envelope


async def test_after_a_day_the_same_envelope_gets_new_layers(tmp_path: Path, paper: PaperAdapter) -> None:
    """The old ones would expire; the recipient's service recognises the envelope."""
    ahead = 0
    first = ForwardingService(answers=[(503, "")] * 1000)
    async with (
        routed(tmp_path / "near", paper, ONE, clock=lambda: now_ms() + ahead) as near,
        first.at(near.chain, ONE),
        ScriptedService().at(near.chain, FAR),
    ):
        far = await person_at(near, FAR)
        await paper.write(BOB, far.name, "hello", "n1")
        await first.wait_taken(2)
        ahead = DAY

        async def another() -> bool | None:
            return len(set(first.taken)) == 2 or None

        await until(another)
        first.answers.clear()
    envelopes = {opened(text, first.keys)[-1] for text in first.taken}
    assert len(envelopes) == 1


async def test_a_changed_key_of_a_relay_means_new_layers(
    tmp_path: Path, paper: PaperAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route_module, "STALE_MS", 0)
    first, second = ForwardingService(answers=[(503, "")] * 3), ForwardingService()
    old, new = second.keys, ServiceKeys.generate()
    async with (
        routed(tmp_path / "near", paper, ONE, TWO) as near,
        first.at(near.chain, ONE),
        second.at(near.chain, TWO),
        ScriptedService().at(near.chain, FAR),
    ):
        profiles = near.gateway._route._profiles  # type: ignore[union-attr]
        look_up = profiles.delivery_service

        async def rotated(name: EnsName, *, fresh: bool = False) -> Any:
            profile = await look_up(name, fresh=fresh)
            if name != TWO or len(first.taken) < 2:
                return profile
            return type(profile).of(new, profile.url)

        monkeypatch.setattr(profiles, "delivery_service", rotated)
        far = await person_at(near, FAR)
        await paper.write(BOB, far.name, "hello", "n1")
        await first.wait_taken(4)
    before, again, after, last = first.taken[:4]
    assert before == again != after == last
    assert opened(before, first.keys, old)[-1] == opened(after, first.keys, new)[-1]


# --- relays that do not -------------------------------------------------------------------------------------------


NOT_SUPPORTED = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32004, "message": "Method not supported"}}
REFUSING: dict[str, dict[str, Any]] = {
    "does not offer it": {"properties": {"sizeLimit": 1_000_000}},
    "offers another version": {"properties": {**FORWARDS, "forward": {"version": 2}}},
    "no longer does it": {"answers": [(405, NOT_SUPPORTED)]},
    "takes smaller ones only": {"properties": {**FORWARDS, "sizeLimit": 10_000}},
}


@pytest.mark.parametrize("how", REFUSING)
async def test_a_first_relay_that_refuses_fails_the_message_and_the_sender_reads_why(
    tmp_path: Path, paper: PaperAdapter, how: str
) -> None:
    first, last = ForwardingService(**deepcopy(REFUSING[how])), ScriptedService()
    async with routed(tmp_path / "near", paper, ONE) as near, first.at(near.chain, ONE), last.at(near.chain, FAR):
        far = await person_at(near, FAR)
        await paper.write(BOB, far.name, "hello", "n1")
        report = await paper.wait_report(DeliveryState.FAILED)
    assert "relays" in report.reason
    assert "not sent" in report.reason
    assert last.taken == [], "never straight"


@pytest.mark.parametrize("missing", [ONE, TWO])
async def test_a_relay_without_a_profile_fails_the_message(
    tmp_path: Path, paper: PaperAdapter, missing: EnsName
) -> None:
    there, last = ForwardingService(), ScriptedService()
    present = TWO if missing == ONE else ONE
    async with (
        routed(tmp_path / "near", paper, ONE, TWO) as near,
        there.at(near.chain, present),
        last.at(near.chain, FAR),
    ):
        far = await person_at(near, FAR)
        await paper.write(BOB, far.name, "hello", "n1")
        report = await paper.wait_report(DeliveryState.FAILED)
    assert "relays" in report.reason
    assert (there.taken, last.taken) == ([], [])


@pytest.mark.parametrize("how", [*REFUSING, "no profile"])
async def test_it_goes_straight_only_where_the_operator_says_so(tmp_path: Path, paper: PaperAdapter, how: str) -> None:
    first, last = ForwardingService(**deepcopy(REFUSING.get(how, {}))), ScriptedService()
    route = (ONE, "ds.nowhere.eth") if how == "no profile" else (ONE,)
    with structlog.testing.capture_logs() as logs:
        async with (
            routed(tmp_path / "near", paper, *route, required=False) as near,
            first.at(near.chain, ONE),
            last.at(near.chain, FAR),
        ):
            far = await person_at(near, FAR)
            await paper.write(BOB, far.name, "hello", "n1")
            await last.wait_taken(1)

            async def sent() -> Any:
                return await near.gateway.store.read(StatusOf(PAPER, NativeId("n1"), far.name))

            status = await until(sent)
    assert (status.state, status.reason) == (DeliveryState.SENT, "")
    assert [each["service"] for each in logs if each["event"] == "outbound.goes_straight"] == [FAR]


@pytest.mark.parametrize("required", [True, False])
async def test_a_first_relay_that_is_away_is_waited_for(
    tmp_path: Path, paper: PaperAdapter, required: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or whoever keeps us from the relay could have the message sent straight."""
    monkeypatch.setattr(relays, "SILENCE_SECONDS", 0.05)
    first, last = ForwardingService(answers=[(503, "")] * 5), ScriptedService()
    async with (
        routed(tmp_path / "near", paper, ONE, required=required) as near,
        first.at(near.chain, ONE),
        last.at(near.chain, FAR),
    ):
        far = await person_at(near, FAR)
        await paper.write(BOB, far.name, "hello", "n1")
        await first.wait_taken(6)
    assert last.taken == []
    assert paper.reports == []


async def test_properties_that_cannot_be_had_now_are_no_refusal(tmp_path: Path, paper: PaperAdapter) -> None:
    first = ForwardingService()
    told, handle = iter([503, 502, 429]), first.handle

    async def away_at_first(request: Any) -> Any:
        status = next(told, None)
        return await handle(request) if status is None else Response("<html>", status)

    first.handle = away_at_first  # type: ignore[method-assign]
    async with (
        routed(tmp_path / "near", paper, ONE) as near,
        first.at(near.chain, ONE),
        ScriptedService().at(near.chain, FAR),
    ):
        far = await person_at(near, FAR)
        await paper.write(BOB, far.name, "hello", "n1")
        await first.wait_taken(1)
    assert paper.reports == []


async def test_people_of_our_own_relay_are_reached_at_once(tmp_path: Path, paper: PaperAdapter) -> None:
    """Nothing leaves the house, so there is nothing to hide."""
    first = ForwardingService()
    async with routed(tmp_path / "near", paper, ONE) as near, first.at(near.chain, ONE):
        native = await near.native("native.eth")
        await paper.write(BOB, native.name, "hello", "n1")
        await mail_of(native)
    assert first.taken == []


# --- what is asked when -------------------------------------------------------------------------------------------


async def test_relays_are_looked_up_by_the_clock_and_not_by_messages(
    tmp_path: Path, paper: PaperAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay that answers for its own name must not see when somebody writes."""
    first, second = ForwardingService(), ForwardingService()
    async with (
        running_house(tmp_path / "ground") as ground,
        first.at(ground.chain, ONE),
        second.at(ground.chain, TWO),
        ScriptedService().at(ground.chain, FAR),
    ):
        chain: dict[str, Any] = {"chain": ground.chain, "parent": EnsName("near.eth")}
        async with routed(tmp_path / "near", paper, ONE, TWO, **chain) as near:
            route = near.gateway._route
            assert route is not None

            async def known() -> bool | None:
                return route._known is not None or None

            await until(known)
            asked: list[EnsName] = []
            look_up = route._profiles.delivery_service

            async def noted(name: EnsName, *, fresh: bool = False) -> Any:
                asked.append(name)
                return await look_up(name, fresh=fresh)

            monkeypatch.setattr(route._profiles, "delivery_service", noted)
            far = await person_at(ground, FAR)
            for number in range(3):
                await paper.write(BOB, far.name, f"hello {number}", f"n{number}")
            await first.wait_taken(3)
            assert set(asked) == {FAR}, "the recipient's service only"
            monkeypatch.setattr(route_module, "REFRESH_SECONDS", 0.01)
            again = asyncio.create_task(route.run())
            try:

                async def both() -> bool | None:
                    return {ONE, TWO} <= set(asked) or None

                await until(both)
            finally:
                again.cancel()


async def test_a_route_that_is_not_known_is_a_line_in_the_log(tmp_path: Path, paper: PaperAdapter) -> None:
    with structlog.testing.capture_logs() as logs:
        async with routed(tmp_path / "near", paper, "ds.nowhere.eth"):

            async def complained() -> Any:
                return [each for each in logs if each["event"] == "route.not_known"] or None

            [line, *_] = await until(complained)
    assert line["error"] == "RouteRefused"
    assert "ds.nowhere.eth" in line["detail"]


async def test_each_relay_is_asked_to_wait_when_the_operator_wants_it(tmp_path: Path, paper: PaperAdapter) -> None:
    first = ForwardingService()
    overrides = {
        "DM3_GATEWAY__RELAY__ROUTE": json.dumps([ONE]),
        "DM3_GATEWAY__RELAY__ROUTE_MAX_DELAY_SECONDS": "60",
    }
    async with (
        running_house(tmp_path / "near", adapters={paper.name: paper}, overrides=overrides) as near,
        first.at(near.chain, ONE),
        ScriptedService().at(near.chain, FAR),
    ):
        far = await person_at(near, FAR)
        await paper.write(BOB, far.name, "hello", "n1")
        await first.wait_taken(1)
    assert open_layer(first.taken[0], first.keys).max_delay_ms == 60_000
