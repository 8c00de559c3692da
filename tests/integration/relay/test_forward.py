"""dm3_forward over HTTP: off unless allowed, one job per layer in one commit, clear errors for all that is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.dm3.layer_sizes import SIZE_CLASSES, sealed_length
from gateway.dm3.layers import MAX_VALIDITY_MS, LayerMethod, wrap
from gateway.errors import ConfigError
from gateway.offload import INLINE_BYTES
from gateway.operations.housekeeping import Housekeeping
from gateway.relay import forward
from gateway.relay.forward import FORWARD, ID_MARGIN_MS, decode_forward
from gateway.store.jobs import destination_of
from gateway.store.once import OnceUsed
from tests.integration.relay.forwarding import (
    Hands,
    forward_jobs,
    forwarding_house,
    layer_for,
    odd_layer,
)
from tests.support.house import House, rpc, running_house
from tests.support.layers import envelope_text, relay


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
async def house(tmp_path: Path, clock: Hands) -> AsyncIterator[House]:
    """Forwards, but its worker stands still and its clock is in the test's hands."""
    async with forwarding_house(tmp_path / "house", clock=clock) as running:
        yield running


def code(answer: httpx2.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["error"]["code"]


async def properties(house: House) -> dict[str, Any]:
    answer = await rpc(house, "dm3_getDeliveryServiceProperties")
    found: dict[str, Any] = json.loads(answer.json()["result"])
    return found


# --- on and off -----------------------------------------------------------------------------------------------------


async def test_off_by_default(tmp_path: Path) -> None:
    async with running_house(tmp_path / "house", working=False) as house:
        answer = await rpc(house, "dm3_forward", layer_for(house))
        assert code(answer) == (405, -32004)
        assert answer.json()["error"]["message"] == "Method not supported"
        assert answer.json()["id"] == 7
        assert answer.headers["allow"] == "POST, OPTIONS"
        assert "forward" not in await properties(house)
        assert await forward_jobs(house) == []


async def test_it_is_advertised_when_allowed(house: House) -> None:
    assert (await properties(house))["forward"] == {"version": 1, "maxHops": 5, "maxDelay": 3_600_000}


async def test_the_longest_delay_is_the_operators(tmp_path: Path) -> None:
    overrides = {"DM3_GATEWAY__RELAY__FORWARD_MAX_DELAY_SECONDS": "60"}
    async with forwarding_house(tmp_path / "house", overrides=overrides) as house:
        assert (await properties(house))["forward"]["maxDelay"] == 60_000


# --- taking ---------------------------------------------------------------------------------------------------------


async def test_a_layer_becomes_one_job_in_a_lane_of_its_own(house: House, clock: Hands) -> None:
    envelope = envelope_text()
    layer = layer_for(house, envelope=envelope, now=clock.now)
    answer = await rpc(house, "dm3_forward", layer)
    assert (answer.status_code, answer.json()) == (200, {"jsonrpc": "2.0", "id": 7, "result": "OK"})
    await rpc(house, "dm3_forward", layer_for(house, now=clock.now))
    job, other = await forward_jobs(house)
    assert job.lane != other.lane
    assert destination_of(job.lane) == FORWARD
    work = decode_forward(job.payload)
    assert (work.next, work.method, work.payload) == ("ds.far.eth", LayerMethod.SUBMIT, envelope)
    assert job.created_at == clock.now
    assert clock.now < job.expires_at <= clock.now + MAX_VALIDITY_MS


@pytest.mark.attack(4)
async def test_the_same_layer_again_is_answered_the_same_and_not_kept_twice(house: House, clock: Hands) -> None:
    layer = layer_for(house, now=clock.now)
    answers = [await rpc(house, "dm3_forward", layer) for _ in range(3)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert len(await forward_jobs(house)) == 1


@pytest.mark.attack(4)
async def test_a_hundred_replays_at_once_are_one_job(house: House, clock: Hands) -> None:
    layer = layer_for(house, now=clock.now)
    answers = await asyncio.gather(*(rpc(house, "dm3_forward", layer) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await forward_jobs(house)) == 1


@pytest.mark.attack(4)
async def test_an_id_is_remembered_until_the_layer_is_over(house: House, clock: Hands) -> None:
    layer = layer_for(house, now=clock.now)
    await rpc(house, "dm3_forward", layer)
    [job] = await forward_jobs(house)
    key = job.lane.partition(":")[2]
    store = house.gateway.store
    housekeeping = Housekeeping(store=store, owner="t", clock=clock, monotonic=lambda: clock.now / 1000)
    clock.now = job.expires_at - 1
    await housekeeping.clean()
    assert await store.read(OnceUsed(FORWARD, key))
    assert (await rpc(house, "dm3_forward", layer)).status_code == 200
    assert len(await forward_jobs(house)) == 1
    clock.now = job.expires_at
    assert code(await rpc(house, "dm3_forward", layer)) == (400, -32000), "over, and known all the same"
    await housekeeping.clean()
    assert await store.read(OnceUsed(FORWARD, key)), "the clock of another node may be behind"
    clock.now = job.expires_at + ID_MARGIN_MS
    await housekeeping.clean()
    assert not await store.read(OnceUsed(FORWARD, key))


async def test_two_layers_with_one_id_are_one(house: House) -> None:
    """The id is what counts: whoever uses one twice sends one layer."""
    for following in ("ds.one.eth", "ds.two.eth"):
        assert (await rpc(house, "dm3_forward", odd_layer(house, next=following))).status_code == 200
    [job] = await forward_jobs(house)
    assert decode_forward(job.payload).next == "ds.one.eth"


async def test_a_large_layer_is_opened_beside_the_event_loop(
    house: House, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_threads: list[str] = []
    to_thread = asyncio.to_thread

    async def noted(work: Any, *args: Any, **kwargs: Any) -> Any:
        in_threads.append(getattr(work, "__qualname__", ""))
        return await to_thread(work, *args, **kwargs)

    monkeypatch.setattr("gateway.offload.asyncio.to_thread", noted)
    layer = layer_for(house, envelope=envelope_text(100_000), now=clock.now)
    assert len(layer) > INLINE_BYTES
    assert (await rpc(house, "dm3_forward", layer)).status_code == 200
    assert "Forwarding._open" in in_threads


# --- refusals -------------------------------------------------------------------------------------------------------


async def test_a_layer_whose_time_is_over(house: House, clock: Hands) -> None:
    layer = odd_layer(house, valid_until=clock.now)
    assert code(await rpc(house, "dm3_forward", layer)) == (400, -32000)


async def test_a_layer_that_is_valid_for_too_long(house: House, clock: Hands) -> None:
    layer = odd_layer(house, valid_until=clock.now + MAX_VALIDITY_MS + 1)
    answer = await rpc(house, "dm3_forward", layer)
    assert code(answer) == (400, -32000)
    assert "seven days" in answer.json()["error"]["data"]["detail"]


async def test_a_layer_for_another_relay(house: House) -> None:
    stranger = relay("ds.stranger.eth")
    layer = wrap(envelope_text(), [stranger.hop], destination="ds.far.eth", now=0)
    answer = await rpc(house, "dm3_forward", layer)
    assert code(answer) == (400, -32000)
    assert "decrypted" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "name", ["Ds.Far.ETH", "ds..eth", "ds.ƒ\u200dar.eth", "ds.xn--far.eth", "l\u00f6\u0301.eth\u202e"]
)
async def test_a_next_hop_that_is_no_name_is_refused_without_repeating_it(house: House, name: str) -> None:
    answer = await rpc(house, "dm3_forward", odd_layer(house, next=name))
    assert code(answer) == (400, -32000)
    assert name not in answer.text


@pytest.mark.attack(28)
async def test_an_oversized_layer(tmp_path: Path) -> None:
    overrides = {"DM3_GATEWAY__RELAY__SIZE_LIMIT": "20000"}
    async with forwarding_house(tmp_path / "house", overrides=overrides) as house:
        fits, large = sealed_length(SIZE_CLASSES[1]), sealed_length(SIZE_CLASSES[3])
        assert fits < 20_000 < large
        assert (await rpc(house, "dm3_forward", odd_layer(house, 1))).status_code == 200
        assert code(await rpc(house, "dm3_forward", odd_layer(house, 3))) == (413, -32011)
        assert code(await rpc(house, "dm3_forward", "x" * 1_000_000)) == (413, -32011)
        assert len(await forward_jobs(house)) == 1


@pytest.mark.attack(29)
@pytest.mark.parametrize(
    "params",
    [
        (),
        (1,),
        (None,),
        ({},),
        ([],),
        ("a", "b"),
        ("",),
        ("{}",),
        ("[" * 10_000,),
        ("null",),
        ("\ud800",),
        ('{"ciphertext":"","ephemPublicKey":"","nonce":""}',),
        ('{"ciphertext":"AAAA","ephemPublicKey":"' + "A" * 43 + '=","nonce":"0x' + "0" * 24 + '"}',),
        ("x" * 100_000,),
    ],
    ids=lambda params: repr(params)[:30],
)
async def test_garbage_gets_json_rpc_errors(house: House, params: tuple[Any, ...]) -> None:
    call = json.dumps({"method": "dm3_forward", "params": params})
    answer = await house.http.post(f"{house.url}/ds/rpc", content=call)
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]["code"] in (-32000, -32602, -32700)
    assert await forward_jobs(house) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
SEALED = st.fixed_dictionaries(
    {},
    optional={
        "ciphertext": JSON | st.binary(max_size=64).map(lambda data: data.hex()),
        "ephemPublicKey": JSON | st.just("A" * 43 + "="),
        "nonce": JSON | st.just("0x" + "0" * 24),
    },
)


@pytest.mark.attack(29)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(params=st.lists(JSON | SEALED.map(json.dumps) | st.text(max_size=200), max_size=3))
async def test_no_call_is_a_server_error(house: House, params: list[Any]) -> None:
    answer = await rpc(house, "dm3_forward", *params)
    assert 400 <= answer.status_code < 500
    assert "error" in answer.json()


@pytest.mark.parametrize(
    "changed",
    [
        {"payload": "x"},
        {"payload": envelope_text(), "method": LayerMethod.FORWARD},
        {"max_delay_ms": 10**12},
        {"id": b"short"},
        {"next": ""},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_layers_that_open_but_are_not_as_specified(house: House, changed: dict[str, Any]) -> None:
    assert code(await rpc(house, "dm3_forward", odd_layer(house, **changed))) == (400, -32000)


# --- bounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        {"DM3_GATEWAY__RELAY__FORWARD_MAX_WAITING": "2"},
        {"DM3_GATEWAY__RELAY__FORWARD_MAX_WAITING_BYTES": "1000000"},
    ],
    ids=["number", "bytes"],
)
@pytest.mark.weakness(15)
async def test_a_full_backlog_takes_no_more_until_some_are_gone(
    tmp_path: Path, overrides: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "COUNT_SECONDS", 0.0)
    size = 200 if "BYTES" not in next(iter(overrides)) else 350_000
    async with forwarding_house(tmp_path / "house", overrides=overrides) as house:
        layers = [layer_for(house, envelope=envelope_text(size)) for _ in range(3)]
        taken = [await rpc(house, "dm3_forward", layer) for layer in layers]
        assert [answer.status_code for answer in taken] == [200, 200, 429]
        assert taken[2].json()["error"]["code"] == -32005
        assert (await rpc(house, "dm3_forward", layers[0])).status_code == 200, "a repeat needs no room"
        assert len(await forward_jobs(house)) == 2


async def test_what_came_since_the_last_count_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "COUNT_SECONDS", 1e9)
    overrides = {"DM3_GATEWAY__RELAY__FORWARD_MAX_WAITING": "5"}
    async with forwarding_house(tmp_path / "house", overrides=overrides) as house:
        answers = await asyncio.gather(*(rpc(house, "dm3_forward", layer_for(house)) for _ in range(20)))
        assert 0 < sum(answer.status_code == 200 for answer in answers) <= 5
        assert {answer.status_code for answer in answers} == {200, 429}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("FORWARD", "perhaps"),
        ("FORWARD_MAX_DELAY_SECONDS", "86401"),
        ("FORWARD_MAX_DELAY_SECONDS", "-1"),
        ("FORWARD_MAX_WAITING", "0"),
        ("ROUTE", '["a.eth", "b.eth", "c.eth", "d.eth", "e.eth"]'),
        ("ROUTE", '["not a name"]'),
        ("ROUTE", '["Ds.One.eth"]'),
        ("ROUTE", '["ds.one.eth", "ds.one.eth"]'),
        ("ROUTE", '["ds.gw.eth"]'),
    ],
)
async def test_wrong_settings_stop_the_start_with_a_line(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"relay.{key.lower()}"):
        async with running_house(tmp_path / "house", overrides={f"DM3_GATEWAY__RELAY__{key}": value}):
            pytest.fail("it started")
