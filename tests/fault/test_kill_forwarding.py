"""kill -9 of a forwarding relay: a layer that was answered OK goes on, and its replay is still known."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from gateway.dm3.keys import ServiceKeys
from gateway.dm3.layers import Hop, wrap
from gateway.lifecycle import now_ms
from gateway.relay.keys import load_service_keys
from gateway.store import Store
from gateway.store.queue import QueueSize
from tests.integration.relay.forwarding import ForwardingService
from tests.support.layers import envelope_text
from tests.support.process import GatewayProcess, gateway_process
from tests.support.waiting import until

LAYERS = 4
TAKE_OVER = 60.0
"""Seconds: a dead node's lanes are free again after 12, and a lane in back-off waits some more."""


async def forward(gateway: GatewayProcess, layer: str) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "dm3_forward", "params": [layer]}
    answer = await gateway.http.post(f"{gateway.settings.server.public_url}/rpc", json=call)
    assert answer.status_code == 200, answer.text


async def waiting_layers(gateway: GatewayProcess) -> int:
    async with await Store.open(gateway.settings.store.url) as store:
        number, _ = await store.read(QueueSize("forward"))
        return number


async def test_layers_that_were_answered_ok_survive_kills(tmp_path: Path) -> None:
    """The next hop is away, so that every kill finds layers between acceptance and forwarding."""
    service = ForwardingService(answers=[(503, "")] * 10_000)
    async with gateway_process(tmp_path / "node") as gateway, service.at(gateway.chain, "ds.far.eth") as far:
        text = gateway.config.read_text()
        gateway.config.write_text(text.replace("[relay]\n", "[relay]\nforward = true\n"))
        keys: ServiceKeys = load_service_keys(gateway.settings.relay.key_file)
        layers = [
            wrap(envelope_text(), [Hop("ds.gw.eth", keys.encryption.public)], destination=far, now=now_ms())
            for _ in range(LAYERS)
        ]
        await gateway.start()
        for number, layer in enumerate(layers, 1):
            await forward(gateway, layer)
            await gateway.kill()
            assert await waiting_layers(gateway) == number
            await gateway.start()
        for layer in layers:
            await forward(gateway, layer)
        assert await waiting_layers(gateway) == LAYERS, "replays are known after all these deaths"
        service.answers.clear()
        refused = len(service.taken)

        async def nothing_left() -> bool | None:
            return await waiting_layers(gateway) == 0 or None

        await until(nothing_left, TAKE_OVER)
        assert Counter(service.taken[refused:]) == {envelope_text(): LAYERS}, "each once"
