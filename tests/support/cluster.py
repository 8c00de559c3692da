"""Gateways in processes of their own on one database, with the tests' sink, and people who write to each other."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from gateway.demo.chain.accounts import ACCOUNT_NAMES
from gateway.demo.chain.running import RunningChain, running_chain
from gateway.demo.ground import found_parent, future_resolver
from gateway.dm3.envelope import canonical_envelope, seal
from gateway.dm3.eth import parse_address
from gateway.dm3.message import Message, MessageType, sign_message
from gateway.dm3.profile import DeliveryServiceProfile
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.escapes import bridged_name
from gateway.ens.lookup import Ens
from gateway.ens.profiles import Profiles
from gateway.ids import CanonicalId, EnsName, Network
from gateway.lifecycle import now_ms
from gateway.operations.installation import Answers, create_installation
from gateway.resolver.signer import load_signer
from gateway.settings import Settings, load_settings
from gateway.store.migrate import upgrade
from tests.bench.people import Person, crowd, http_request, publish
from tests.support.balancer import Balancer, balancer
from tests.support.ports import free_ports
from tests.support.process import NodeProcess
from tests.support.senders import PAUSE_SECONDS, Prepared, Senders
from tests.support.sink import HOST, SINK, TAR, Lane, Sink, installed_sink, running_sink
from tests.support.waiting import until

PATIENCE_SECONDS: Final = 60.0
"""With one answer: the machine may be busy."""
ROOT: Final = Path(__file__).parents[2]
PARENT: Final = EnsName("gw.eth")
SERVICE: Final = EnsName(f"ds.{PARENT}")
WITHOUT_LIMITS: Final = {
    "DM3_GATEWAY__RELAY__LOG_INS_PER_MINUTE": "0",
    "DM3_GATEWAY__RELAY__CALLS_PER_MINUTE": "0",
    "DM3_GATEWAY__RELAY__SENDER_MESSAGES": "100000",
}
"""All clients have one address here, and few people write everything."""


@dataclass(kw_only=True)
class Cluster:
    """One installation: its nodes, what stands before them and behind them, and its people."""

    settings: Settings
    chain: RunningChain
    sink: Sink
    nodes: Sequence[NodeProcess]
    balancer: Balancer | None
    """In front of several nodes; it is the public address then."""
    senders: Sequence[Person]
    persons: Sequence[CanonicalId]
    """Of the sink's network."""
    profiles: Profiles
    http: httpx2.AsyncClient
    _timestamps: int = field(default_factory=now_ms)

    @property
    def node(self) -> NodeProcess:
        """The first one."""
        return self.nodes[0]

    @property
    def front(self) -> int:
        """The port to which people connect."""
        return int(self.settings.server.public_url.rpartition(":")[2])

    async def start(self) -> None:
        """All nodes, at once; returns when the balancer gives connections to each."""
        await asyncio.gather(*(node.start() for node in self.nodes))
        await self.balanced()

    async def written(self, conversations: Sequence[Sequence[Prepared]], seconds: float = 60) -> Senders:
        """Write all of it, and return when it is acknowledged."""
        async with self.writing(conversations) as senders:
            await self.all_sent(senders, seconds)
        return senders

    async def balanced(self) -> None:
        """Return when the balancer gives connections to every node that runs."""

        async def look() -> bool | None:
            return self.balancer is None or self.balancer.ready == set(self.balancer.nodes) or None

        await until(look, 30)

    async def conversations(self, each: int, *, prefix: str = "m", network: Network = SINK) -> list[list[Prepared]]:
        """Every sender writes to every person: so many envelopes in each conversation, texts in their order."""
        service = await self.profiles.delivery_service(SERVICE)
        names = [bridged_name(network, person, PARENT) for person in self.persons]
        keys = [(await self.profiles.user(name)).profile.public_encryption_key for name in names]
        self._timestamps += 1
        return await asyncio.to_thread(
            lambda: [
                [
                    Prepared(text, self._posted(sender, name, key, service, text))
                    for text in (f"{prefix}{n}-{m}-{number}" for number in range(each))
                ]
                for n, sender in enumerate(self.senders)
                for m, (name, key) in enumerate(zip(names, keys, strict=True))
            ]
        )

    async def letter(self, sender: Person, recipient: Person, text: str) -> Prepared:
        """An envelope of one sender to another, who is no bridged person but has a mailbox here."""
        service = await self.profiles.delivery_service(SERVICE)
        self._timestamps += 1
        return Prepared(text, self._posted(sender, recipient.name, recipient.encryption_key, service, text))

    def _posted(self, sender: Person, name: EnsName, key: bytes, service: DeliveryServiceProfile, text: str) -> bytes:
        draft = Message(to=name, from_=sender.name, type=MessageType.NEW, timestamp=self._timestamps, text=text)
        message = sign_message(draft, sender.keys.signing)
        envelope = canonical_envelope(seal(message, key, service.public_encryption_key, sender.keys.signing))
        call = {"jsonrpc": "2.0", "id": 1, "method": "dm3_submitMessage", "params": [envelope]}
        host = self.settings.server.public_url.removeprefix("http://")
        return http_request("POST", "/ds/rpc", host, json.dumps(call).encode())

    @asynccontextmanager
    async def writing(
        self,
        conversations: Sequence[Sequence[Prepared]],
        *,
        through: int | None = None,
        pause: tuple[float, float] = PAUSE_SECONDS,
    ) -> AsyncIterator[Senders]:
        """Senders at work while this lasts; at the end they are waited for. `through` is the port of a proxy."""
        senders = Senders(through or self.front, conversations, pause)
        task = asyncio.create_task(senders.run())
        try:
            yield senders
            senders.stopping = True
            await task
        finally:
            task.cancel()

    async def all_sent(self, senders: Senders, seconds: float) -> None:
        """Return when every envelope was answered 200."""
        total = sum(map(len, senders.conversations))

        async def look() -> bool | None:
            return len(senders.acknowledged) == total or None

        try:
            await until(look, seconds)
        except TimeoutError:
            raise AssertionError(f"{len(senders.acknowledged)} of {total}: {senders.figures()}") from None

    async def delivered(self, senders: Senders, seconds: float) -> None:
        """Return when everything that was acknowledged is in the sink; TimeoutError tells how much is missing."""

        async def look() -> bool | None:
            return senders.acknowledged.keys() <= self.sink.taken.keys() or None

        try:
            await until(look, seconds)
        except TimeoutError:
            missing = senders.acknowledged.keys() - self.sink.taken.keys()
            logs = "\n".join(node.log()[-3000:] for node in self.nodes)
            raise AssertionError(f"{len(missing)} missing, such as {sorted(missing)[:5]}\n{logs}") from None

    def behind(self, lanes: Collection[Lane], senders: Senders) -> Senders:
        """What waits behind the envelope that is under way in each of these conversations, acknowledged by now."""
        found: dict[str, int] = {}
        for lane, conversation in zip(self.lanes(), senders.conversations, strict=True):
            texts = (each.text for each in conversation if each.text in senders.acknowledged)
            waiting = [text for text in texts if text not in self.sink.taken]
            if lane in lanes:
                found.update(dict.fromkeys(waiting[1:2], 1))
        return Senders(senders.port, (), acknowledged=found)

    def lanes(self) -> list[Lane]:
        """Of the conversations, in their order."""
        return [(sender.name, person) for sender in self.senders for person in self.persons]

    def disorder(self) -> list[Lane]:
        """Conversations whose messages came first in another order than that in which they were acknowledged."""
        found: dict[tuple[Lane, str], list[int]] = {}
        for text, lane in self.sink.taken.items():
            series, _, number = text.rpartition("-")
            found.setdefault((lane, series), []).append(int(number))
        return [lane for (lane, _), numbers in found.items() if numbers != sorted(numbers)]

    def check(self, senders: Senders) -> None:
        """0 lost, 0 duplicates, order kept, one node at a time in each conversation."""
        assert not senders.acknowledged.keys() - self.sink.taken.keys(), "lost"
        assert not [text for text, copies in self.sink.copies.items() if copies > 1], "a duplicate with another key"
        assert self.disorder() == []
        assert self.sink.crossed == 0, "two nodes in one conversation"


@asynccontextmanager
async def running_cluster(
    folder: Path,
    store_url: str,
    *,
    nodes: int = 1,
    senders: int = 3,
    persons: int = 16,
    overrides: Mapping[str, str] | None = None,
    sink_port: int | None = None,
    adapters: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[Cluster]:
    """Everything is set up, and no node started yet.

    `overrides` are environment variables of the nodes, `sink_port` is that of a proxy before the sink, `adapters` are
    tables of further networks.
    """
    async with AsyncExitStack() as stack:
        plugins = stack.enter_context(installed_sink(folder / "plugins"))
        sink = await stack.enter_async_context(running_sink())
        people = crowd("sender", senders)
        labels = [person.name.removesuffix(".eth") for person in people]
        chain = await stack.enter_async_context(running_chain(names=(*ACCOUNT_NAMES, *labels)))
        ports = free_ports(nodes)
        between = await stack.enter_async_context(balancer(ports)) if nodes > 1 else None
        front = ports[0] if between is None else between.port
        port = {"port": sink_port or sink.port}
        answers = Answers(
            parent=PARENT,
            public_url=f"http://{HOST}:{front}",
            port=front,
            rpc_url=chain.url,
            chain_id=chain.chain_id,
            ens_registry=chain.registry,
            resolver_address=future_resolver(chain),
            allow_private_gateways=True,
            store_url=store_url,
            adapters={SINK: port, TAR: port, **(adapters or {})},
        )
        config = create_installation(folder / "node", answers)
        settings = load_settings(config, environ={})
        signer = load_signer(settings.ens.signer_key_file).address
        await asyncio.to_thread(found_parent, chain, PARENT, settings.server.public_url, signer)
        await asyncio.to_thread(publish, chain.ens, people, SERVICE)
        await asyncio.to_thread(upgrade, settings.store.url)
        http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS))
        reader = Chain((chain.url,), chain.chain_id, timeout=30)
        stack.push_async_callback(reader.close)
        client = GuardedClient(allow_private=True, timeout=30)
        stack.push_async_callback(client.close)
        environment = {**WITHOUT_LIMITS, "PYTHONPATH": f"{plugins}{os.pathsep}{ROOT}", **(overrides or {})}
        processes = [
            NodeProcess(
                config=config,
                url=f"http://{HOST}:{port}",
                http=http,
                environment={**environment, "DM3_GATEWAY__SERVER__PORT": str(port)},
                log_name=f"gateway-{number}.log",
            )
            for number, port in enumerate(ports)
        ]
        stack.push_async_callback(_end_all, processes)
        yield Cluster(
            settings=settings,
            chain=chain,
            sink=sink,
            nodes=processes,
            balancer=between,
            senders=people,
            persons=[CanonicalId(f"person{number}@sink.example") for number in range(persons)],
            profiles=Profiles(Ens(reader, parse_address(chain.registry), client), client),
            http=http,
        )


async def _end_all(nodes: Sequence[NodeProcess]) -> None:
    for node in nodes:
        if node.process is not None and node.process.returncode is None:
            os.killpg(node.process.pid, signal.SIGKILL)
            await node.process.wait()
