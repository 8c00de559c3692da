"""What a message of an XMPP user costs until it is kept, and until it is in a mailbox; and one on the way back."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.bridge.jobs import outbound_lane
from gateway.demo.prosody import MISSING, find_prosody
from gateway.dm3.eth import parse_address
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.profiles import Profiles
from gateway.ids import EnsName
from gateway.store.engine import sqlite_path
from tests.bench import xmpp
from tests.bench.lanes import Lanes
from tests.bench.load import write_requests
from tests.bench.machine import LOAD_CORE, SERVER_CORE, cpu_seconds
from tests.bench.people import submissions
from tests.bench.processes import LineProcess, Load, line_process, serving
from tests.bench.results import Figure, ratios
from tests.bench.scale import Scale
from tests.bench.world import HOST, World, founded

PEOPLE: Final = 10
"""Who write, and as many names to which each of them writes: a hundred conversations."""
IN_FLIGHT: Final = 100
CLIENTS: Final = 8
"""Of the relay, on the way back."""
CPU_MS: Final = 0.9
TIMES_THE_ECHO: Final = 6.0
P50_MS: Final = 15.0
LINK_SECONDS: Final = 30.0


@dataclass(slots=True)
class Rounds:
    """What each round gave."""

    kept: list[Load] = field(default_factory=list)
    """While another node had the lanes: until the receipt."""
    alone: list[Load] = field(default_factory=list)
    """The same, of one conversation."""
    singly: list[Load] = field(default_factory=list)
    """The same, of a hundred, one message in flight."""
    echoed: list[Load] = field(default_factory=list)
    echoed_singly: list[Load] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    """CPU seconds until all was in the mailboxes and nothing was left to do."""
    arrived: list[Load] = field(default_factory=list)
    """One in flight, until it is in the mailbox."""
    back: list[float] = field(default_factory=list)
    """CPU seconds of the way back, from the submission until nothing was left to do."""
    back_singly: list[Load] = field(default_factory=list)


async def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Gateway and peer take turns on one core, with the same server on the other. Without Prosody no figures."""
    if find_prosody() is None:
        print(MISSING, file=sys.stderr)
        return []
    number = min(PEOPLE, scale.people)
    names, server = xmpp.people(number), xmpp.server(folder / "prosody")
    for name in names:
        await server.register(name, xmpp.PASSWORD)
    adapters = {"xmpp": xmpp.adapter_table(server)}
    rounds = Rounds()
    async with server, founded(folder, senders=number, recipients=number, adapters=adapters) as world:
        lanes = Lanes(world, [outbound_lane(xmpp.name_of(name), to.name) for name in names for to in world.recipients])
        async with (
            serving(world.config, world.url) as gateway,
            _echo(server) as echo,
            line_process("tests.bench.chat", LOAD_CORE) as chat,
        ):
            await chat.ask(
                json.dumps(
                    {
                        "log_in": [[name, xmpp.PASSWORD] for name in names],
                        "domain": xmpp.DOMAIN,
                        "port": server.c2s_port,
                    }
                )
            )
            talk = Talk(world, chat, gateway.pid, echo.pid, number)
            await talk.until_linked()
            await _round(Rounds(), scale, talk, lanes)
            await talk.prepare_back(folder / "requests", names, scale)
            await talk.hear(scale.stanzas // 10, CLIENTS)
            await lanes.empty()
            for _ in range(scale.rounds):
                await _round(rounds, scale, talk, lanes)
                await _round_back(rounds, scale, talk, lanes)
        lanes.close()
    return _figures(rounds, scale)


async def _round(rounds: Rounds, scale: Scale, talk: Talk, lanes: Lanes) -> None:
    few = scale.stanzas // 10
    lanes.hold()
    before = len(lanes.payloads())
    rounds.kept.append(await talk.say(scale.stanzas))
    rounds.echoed.append(await talk.echo(scale.stanzas))
    rounds.alone.append(await talk.say(few, people=1))
    rounds.singly.append(await talk.say(few, window=1))
    rounds.echoed_singly.append(await talk.echo(few, window=1))
    if (found := len(lanes.payloads()) - before) != scale.stanzas + 2 * few:
        raise RuntimeError(f"{found} messages wait where {scale.stanzas + 2 * few} have a receipt")
    lanes.release()
    await lanes.empty()
    before = lanes.envelopes()
    spent = talk.gateway_seconds()
    await talk.say(scale.stanzas)
    await lanes.empty()
    rounds.whole.append(talk.gateway_seconds() - spent)
    if (found := lanes.envelopes() - before) != scale.stanzas:
        raise RuntimeError(f"{found} envelopes came of {scale.stanzas} messages")
    rounds.arrived.append(await talk.say_through(few))
    await lanes.empty()


async def _round_back(rounds: Rounds, scale: Scale, talk: Talk, lanes: Lanes) -> None:
    few = scale.stanzas // 10
    spent = talk.gateway_seconds()
    await talk.hear(few, CLIENTS)
    await lanes.empty()
    rounds.back.append(talk.gateway_seconds() - spent)
    rounds.back_singly.append(await talk.hear(few, 1))
    await lanes.empty()


class Talk:
    """The people of the server, as their process does what it is told."""

    def __init__(self, world: World, chat: LineProcess, gateway: int, echo: int, people: int) -> None:
        self._world = world
        self._chat = chat
        self._gateway = gateway
        self._echo = echo
        self._people = people
        self._contacts = [xmpp.contact(person.name) for person in world.recipients]
        self._said = 0
        self._requests = Path()
        self._heard = 0

    def gateway_seconds(self) -> float:
        """CPU of the gateway since its start."""
        return cpu_seconds(self._gateway)

    async def until_linked(self) -> None:
        """Return when the gateway answers."""
        async with asyncio.timeout(LINK_SECONDS):
            while True:
                try:
                    await self.say(1)
                except RuntimeError:
                    await asyncio.sleep(0.2)
                else:
                    return

    async def say(self, count: int, *, people: int = 0, window: int = IN_FLIGHT) -> Load:
        """Messages to names, until each has its receipt; from one person they go to one name."""
        to = self._contacts[:1] if people == 1 else self._contacts
        return await self._spoken(self._gateway, count, people, window, to)

    async def say_through(self, count: int) -> Load:
        """One after the other, until each is in a mailbox."""
        mailbox = sqlite_path(self._world.settings.store.url)
        return await self._spoken(self._gateway, count, 0, 1, self._contacts, mailbox)

    async def echo(self, count: int, *, window: int = IN_FLIGHT) -> Load:
        """The same messages to the peer, until each came back."""
        return await self._spoken(self._echo, count, 0, window, [f"somebody@{xmpp.ECHO}"])

    async def prepare_back(self, path: Path, people: Sequence[str], scale: Scale) -> None:
        """Envelopes to everybody, sealed beforehand: for a warm-up, and twice for each round."""
        few = scale.stanzas // 10
        bridged = await self._bridged([xmpp.name_of(each) for each in people])
        world = self._world
        number = (2 * scale.rounds + 1) * few
        write_requests(submissions(world.senders, bridged, world.service, number, world.host), path)
        self._requests = path

    async def hear(self, count: int, clients: int) -> Load:
        """Submit the next envelopes, until a message came of each."""
        command = {"hear": str(self._requests), "host": HOST, "port": self._world.port, "window": clients}
        load = await self._load(self._gateway, command | {"start": self._heard, "count": count})
        self._heard += count
        return load

    async def _spoken(
        self, pid: int, count: int, people: int, window: int, to: Sequence[str], mailbox: str | None = None
    ) -> Load:
        command = {"say": to, "people": people or self._people, "window": window, "mailbox": mailbox}
        load = await self._load(pid, command | {"start": self._said, "count": count})
        self._said += count
        return load

    async def _load(self, pid: int, command: dict[str, Any]) -> Load:
        before = cpu_seconds(pid)
        answer = await self._chat.ask(json.dumps(command))
        spent = cpu_seconds(pid) - before
        if answer["refused"]:
            raise RuntimeError(f"refused: {answer['refused'][0]}")
        return Load(answer["seconds"], answer["latencies"], spent, 0)

    async def _bridged(self, names: Sequence[EnsName]) -> list[Bridged]:
        """With the keys that everybody can look up."""
        chain = self._world.settings.chain
        client, reader = GuardedClient(allow_private=True), Chain(chain.rpc_urls, chain.chain_id)
        try:
            profiles = Profiles(Ens(reader, parse_address(chain.ens_registry), client), client)
            found = [await profiles.user(name) for name in names]
            return [Bridged(each.name, each.profile.public_encryption_key) for each in found]
        finally:
            await reader.close()
            await client.close()


@dataclass(frozen=True, slots=True)
class Bridged:
    """A person of the network, as the DM3 network sees them."""

    name: EnsName
    encryption_key: bytes


@asynccontextmanager
async def _echo(server: xmpp.Server) -> AsyncIterator[LineProcess]:
    """The peer, connected."""
    given = {"domain": xmpp.ECHO, "secret": server.secret, "host": server.host, "port": server.component_port}
    async with line_process("tests.bench.echo", SERVER_CORE) as process:
        await process.ask(json.dumps(given))
        yield process


def _figures(rounds: Rounds, scale: Scale) -> list[Figure]:
    row, mailbox, back = "XMPP message, committed", "XMPP message to a mailbox", "DM3 message to XMPP"
    few = scale.stanzas // 10
    cpu = Figure(row, "CPU per message", "ms", _cpu(rounds.kept), CPU_MS)
    echo = Figure(row, "slixmpp echo, in turn", "ms", _cpu(rounds.echoed))
    return [
        cpu,
        echo,
        Figure(row, "CPU by echo", "x", ratios(cpu, echo), TIMES_THE_ECHO),
        Figure(row, "CPU, one conversation", "ms", _cpu(rounds.alone)),
        Figure(row, "latency p50", "ms", _p50(rounds.singly), P50_MS, note="one in flight"),
        Figure(row, "echo, latency p50", "ms", _p50(rounds.echoed_singly), note="one in flight"),
        Figure(row, "committed", "/s", tuple(len(each.latencies) / each.seconds for each in rounds.kept)),
        Figure(mailbox, "CPU per message", "ms", tuple(1e3 * each / scale.stanzas for each in rounds.whole)),
        Figure(mailbox, "latency p50", "ms", _p50(rounds.arrived), P50_MS, note="one in flight"),
        Figure(back, "CPU per message", "ms", tuple(1e3 * each / few for each in rounds.back)),
        Figure(back, "latency p50", "ms", _p50(rounds.back_singly), note="one in flight"),
    ]


def _cpu(loads: Sequence[Load]) -> tuple[float, ...]:
    return tuple(1e3 * each.cpu_seconds / len(each.latencies) for each in loads)


def _p50(loads: Sequence[Load]) -> tuple[float, ...]:
    return tuple(1e3 * statistics.median(each.latencies) for each in loads)
