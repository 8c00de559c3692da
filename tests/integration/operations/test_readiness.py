"""Readiness: components that are needed and others, and a stop that balancers see before the listener closes."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import ClassVar

from gateway.app import Gateway
from gateway.custody.seed import create_seed
from gateway.operations.installation import Answers, create_installation
from gateway.sdk import CanonicalId, Unavailable
from gateway.serving import serve_until
from gateway.settings import load_settings
from gateway.store.migrate import upgrade
from tests.support.adapters import PaperAdapter
from tests.support.house import House, patience, running_house
from tests.support.waiting import mail_of, until


class FarAdapter(PaperAdapter):
    """A network that can be out of reach."""

    away: ClassVar[bool] = True

    async def reach(self) -> None:
        """As `ReportsReadiness`."""
        if self.away:
            raise Unavailable("nobody there")


async def readiness(house: House) -> tuple[int, str, dict[str, str]]:
    answer = await house.http.get(f"{house.url}/readyz")
    return answer.status_code, answer.json()["status"], answer.json()["components"]


async def test_a_network_that_is_away_leaves_the_node_in_the_balancer(tmp_path: Path) -> None:
    far = FarAdapter()
    async with running_house(tmp_path / "house", adapters={far.name: far}) as house:
        status, told, components = await readiness(house)
        assert (status, told, components["adapter paper"]) == (200, "degraded", "Unavailable")
        page = (await house.http.get(f"{house.url}/metrics")).text
        assert 'dm3_gateway_adapter_connected{network="paper"} 0.0' in page


async def test_without_a_worker_a_node_is_not_ready(tmp_path: Path) -> None:
    async with running_house(tmp_path / "house", working=False) as house:
        house.gateway._worker.looked_at -= 3600
        status, told, components = await readiness(house)
        assert (status, told, components["worker"]) == (503, "not ready", "Unavailable")


async def test_a_seed_of_another_installation_is_seen(tmp_path: Path) -> None:
    """Restored beside the wrong database: it would answer for people whose keys it cannot make."""
    paper = PaperAdapter()
    async with running_house(tmp_path / "house", adapters={paper.name: paper}) as house:
        alice = await house.native("native.eth")
        await paper.write(CanonicalId("bob@example.org"), alice.name, "hello", "n1")
        await mail_of(alice)
        seed = house.settings.custody.seed_file
        await asyncio.to_thread(seed.unlink)
        await asyncio.to_thread(create_seed, seed)
        other = PaperAdapter()
        gateway = await Gateway.open(house.settings, {other.name: other})
        try:
            states = await gateway._health.states()
        finally:
            await gateway.close()
        assert states["keys"] == "CustodyError"
        assert (await readiness(house))[0] == 200


async def test_a_stop_is_seen_before_the_listener_closes(tmp_path: Path) -> None:
    answers = Answers(parent="gw.eth", public_url="https://gw.example", rpc_url="http://127.0.0.1:9", port=0)
    config = create_installation(tmp_path, answers)
    port = _free_port()
    settings = load_settings(
        config, {"DM3_GATEWAY__SERVER__PORT": str(port), "DM3_GATEWAY__SERVER__DRAIN_SECONDS": "4"}
    )
    await asyncio.to_thread(upgrade, settings.store.url)
    stop = asyncio.Event()
    with patience():
        serving = asyncio.create_task(serve_until(settings, {}, stop))
        try:
            assert await until(lambda: _status(port, "/readyz")) == 200
            kept = await asyncio.open_connection("127.0.0.1", port)
            assert b"\r\nconnection: close" not in await _ask(*kept)
            stop.set()
            assert await until(lambda: _other_status(port, 200)) == 503
            assert b"\r\nconnection: close" in await _ask(*kept), "whoever keeps a connection goes elsewhere in time"
            assert await kept[0].read() == b""
            kept[1].close()
            assert await _status(port, "/ds/delivery-service-profile") == 200, "new connections are still served"
            await asyncio.wait_for(serving, 60)
            assert await _status(port, "/readyz") is None
        finally:
            stop.set()
            await serving


def _free_port() -> int:
    from gateway.web.server import listen

    with listen("127.0.0.1", 0) as bound:
        port: int = bound.getsockname()[1]
        return port


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The head of an answer on a connection that is kept; its body is read, too."""
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: node\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(len(b'{"status":"ok"}'))
    return head


async def _status(port: int, path: str) -> int | None:
    """Of one request on a connection of its own; None while nothing listens."""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n".encode())
            head = await reader.readline()
            return int(head.split()[1]) if head else None
        finally:
            writer.close()
    return None


async def _other_status(port: int, known: int) -> int | None:
    found = await _status(port, "/readyz")
    return None if found == known else found
