"""People of an XMPP server and native DM3 clients who write to each other at a rate, and what became of it all."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.demo.prosody import Prosody
from gateway.demo.xmpp_stanza import Stanza, element
from gateway.demo.xmpp_user import RECEIPTS
from gateway.dm3.data_uri import data_uri
from gateway.dm3.envelope import canonical_envelope, seal
from gateway.dm3.eth import parse_address, sign_text
from gateway.dm3.keys import ProfileKeys, storage_key_from_signature, storage_key_text
from gateway.dm3.message import Message, MessageType, sign_message
from gateway.ens.chain import Chain
from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.profiles import PROFILE_KEY, Profiles
from gateway.ids import EnsName
from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from tests.support.posting import Posting
from tests.support.process import GatewayProcess, gateway_process
from tests.support.prosody import prosody_server
from tests.support.steady_client import SteadyClient
from tests.support.waiting import until

PASSWORD: Final = "a password"
COMPONENT: Final = "dm3.localhost"
TICK_SECONDS: Final = 0.02
PROBE_SECONDS: Final = 0.2
ANSWER_SECONDS: Final = 5.0
"""For answers that come late, when everything else is there."""
WITHOUT_LIMITS: Final = {
    "DM3_GATEWAY__RELAY__LOG_INS_PER_MINUTE": "0",
    "DM3_GATEWAY__RELAY__CALLS_PER_MINUTE": "0",
    "DM3_GATEWAY__RELAY__SENDER_MESSAGES": "10000",
}


@dataclass
class Pair:
    """A person of the XMPP server and a native client who write to each other, and what both saw."""

    person: SteadyClient
    name: EnsName
    """The person's."""
    native: Dm3Client
    keys: ProfileKeys
    contact: str
    """The native client's address for the person."""
    receipts: set[str] = field(default_factory=set)
    """Ids of the person's messages."""
    errors: dict[str, str] = field(default_factory=dict)
    """Conditions, by ids of the person's messages."""
    shown: dict[str, Counter[str]] = field(default_factory=dict)
    """Ids under which each text reached the person, and how often."""
    picked_up: Counter[str] = field(default_factory=Counter)
    """Texts that the native client picked up."""

    def hear(self, stanza: Stanza, *, kept: bool = False) -> None:
        """One message that came for the person, or was ``kept`` by their server."""
        about = stanza.get(f"{{{RECEIPTS}}}received", "id")
        if stanza.bare != self.contact:
            return
        if stanza.type == "error":
            self.errors[stanza.id] = stanza.fault.condition if stanza.fault else ""
        elif about is not None:
            self.receipts.add(about)
        elif stanza.body is not None:
            ids = self.shown.setdefault(stanza.body, Counter())
            ids[stanza.id] += 0 if kept and stanza.id in ids else 1

    async def pick_up(self) -> None:
        """What waits for the native client; it makes room for the next."""
        received = await self.native.fetch()
        for each in received:
            if each.message.type is MessageType.NEW:
                self.picked_up[(each.message.text or "").partition("\n")[0]] += 1
        if received:
            await self.native.acknowledge(*received)

    async def look_up(self) -> None:
        """What the server kept for the person."""
        for stanza in await self.person.archived():
            self.hear(stanza, kept=True)


@dataclass
class Load:
    """One gateway, one server, people on both sides."""

    gateway: GatewayProcess
    server: Prosody
    pairs: list[Pair]
    posting: Posting
    texts: list[str]
    """Of the prepared envelopes."""
    sent: dict[str, Pair] = field(default_factory=dict)
    """The persons' messages by id, which is also their text."""

    def say(self, number: int) -> None:
        """Let each of the next persons in turn write to their contact."""
        said: dict[int, list[str]] = {}
        for _ in range(number):
            index = len(self.sent) % len(self.pairs)
            pair, key = self.pairs[index], f"x{len(self.sent)}"
            self.sent[key] = pair
            said.setdefault(index, []).append(chat(pair.contact, key))
        for index, stanzas in said.items():
            self.pairs[index].person.send(*stanzas)

    @asynccontextmanager
    async def flowing(self, rate: float) -> AsyncIterator[None]:
        """Messages both ways at a rate, while this lasts."""
        async with _running(lambda: self._flow(rate)):
            yield

    async def more(self, number: int) -> None:
        """Return when so many more persons' messages were sent."""
        enough = len(self.sent) + number
        await until(lambda: _true(len(self.sent) >= enough), 60)

    async def answered_again(self) -> None:
        """Return when a message that was sent from now on has a receipt; a few are sent until then."""
        before = set(self.sent)

        async def look() -> bool | None:
            self.say(1)
            await asyncio.sleep(PROBE_SECONDS)
            return bool(self.answered - before) or None

        await until(look, 60)

    async def settled(self, seconds: float) -> None:
        """Return when everything has come where it should, and nothing more can come for what has no answer.

        Raises TimeoutError when what was acknowledged does not arrive.
        """

        async def arrived() -> bool | None:
            await asyncio.gather(*(pair.pick_up() for pair in self.pairs))
            there = not self.lost_inward and self.posting.done and not any(pair.person.waiting for pair in self.pairs)
            if there and self.lost_outward:
                await self.look_up()
            return (there and self._ended and not self.lost_outward) or None

        await until(arrived, seconds)
        with suppress(TimeoutError):
            await until(self._all_answered, ANSWER_SECONDS)
        await asyncio.gather(*(pair.pick_up() for pair in self.pairs))

    async def look_up(self) -> None:
        """What the server kept for the persons."""
        await asyncio.gather(*(pair.look_up() for pair in self.pairs))

    async def _all_answered(self) -> bool | None:
        if self.silent:
            await self.look_up()
        return not self.silent or None

    @property
    def _ended(self) -> bool:
        """True when the last message of each person is answered: conversations are handled in order."""
        last = list(self.sent)[-len(self.pairs) :]
        return self.silent.isdisjoint(last)

    async def _flow(self, rate: float) -> None:
        loop = asyncio.get_running_loop()
        started, due = loop.time(), 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = int((loop.time() - started) * rate)
            self.say(now - due)
            await self.posting.due(now - due)
            due = now

    @property
    def answered(self) -> set[str]:
        """Ids of persons' messages with a receipt."""
        return set().union(*(pair.receipts for pair in self.pairs)) & self.sent.keys()

    @property
    def bounced(self) -> set[str]:
        """With an error and no receipt."""
        return (set().union(*(pair.errors.keys() for pair in self.pairs)) & self.sent.keys()) - self.answered

    @property
    def silent(self) -> set[str]:
        """With neither."""
        return self.sent.keys() - self.answered - self.bounced

    @property
    def lost_inward(self) -> set[str]:
        """Messages with a receipt that the native client has not picked up."""
        return {key for key in self.answered if not self.sent[key].picked_up[key]}

    @property
    def lost_outward(self) -> set[str]:
        """Texts of envelopes that were answered 200 and that the person has not seen."""
        texts = (self.texts[each] for each in self.posting.answered)
        return {text for text in texts if not self._pair(text).shown.get(text)}

    @property
    def repeated_inward(self) -> set[str]:
        """Messages that the native client got more than once."""
        return {text for pair in self.pairs for text, times in pair.picked_up.items() if times > 1}

    @property
    def repeated_outward(self) -> int:
        """How often a text reached a person again."""
        return sum(ids.total() - 1 for pair in self.pairs for ids in pair.shown.values())

    @property
    def untold_repeats(self) -> set[str]:
        """Texts that reached a person under more than one id: no client could tell the repeat."""
        return {text for pair in self.pairs for text, ids in pair.shown.items() if len(ids) > 1}

    def figures(self) -> str:
        """What became of it, in one line."""
        unheard = sum(self.sent[key].picked_up[key] for key in self.silent)
        return (
            f"{len(self.sent)} messages: {len(self.answered)} with a receipt, {len(self.bounced)} sent back, "
            f"{len(self.silent)} silent ({unheard} of them delivered), {len(self.lost_inward)} lost; "
            f"{self.posting.begun} envelopes: {len(self.posting.answered)} taken, {len(self.lost_outward)} lost, "
            f"{self.repeated_outward} shown again"
        )

    def _pair(self, text: str) -> Pair:
        return self.pairs[int(text.removeprefix("d")) % len(self.pairs)]


async def _true(found: object) -> bool | None:
    return bool(found) or None


def chat(to: str, key: str) -> str:
    """A message that asks for a receipt, with its id as text."""
    asking = element("request", {"xmlns": RECEIPTS})
    return element("message", {"to": to, "type": "chat", "id": key}, element("body", text=key), asking)


@asynccontextmanager
async def xmpp_load(folder: Path, *, pairs: int, envelopes: int) -> AsyncIterator[Load]:
    """A gateway and a server that run, pairs that know each other, and envelopes sealed in advance."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(prosody_server(folder / "server", component=COMPONENT))
        secret = folder / "xmpp.secret"
        secret.write_text(server.secret)
        table = {
            "component": COMPONENT,
            "host": server.host,
            "port": server.component_port,
            "secret_file": str(secret),
            "messages_per_minute": 1_000_000,
        }
        node = gateway_process(folder / "node", adapters={"xmpp": table}, overrides=WITHOUT_LIMITS)
        gateway = await stack.enter_async_context(node)
        await gateway.start()
        reader = Chain((gateway.chain.url,), gateway.chain.chain_id, timeout=30)
        stack.push_async_callback(reader.close)
        client = GuardedClient(allow_private=True, timeout=30)
        stack.push_async_callback(client.close)
        profiles = Profiles(Ens(reader, parse_address(gateway.chain.registry), client), client)
        met = [await _pair(gateway, server, profiles, number) for number in range(pairs)]
        async with _running(*(pair.person.run for pair in met)):
            await asyncio.gather(*(_greet(pair) for pair in met))
            texts = [f"d{number}" for number in range(envelopes)]
            host = gateway.settings.server.public_url.removeprefix("http://")
            posting = Posting(host, await _requests(met, profiles, texts, host))
            async with _running(posting.run):
                yield Load(gateway, server, met, posting, texts)


async def _pair(gateway: GatewayProcess, server: Prosody, profiles: Profiles, number: int) -> Pair:
    """An account, and a native client whose name the chain knows."""
    wallet = secrets.token_bytes(32)
    native = Dm3Client(
        name=EnsName(f"native{number}.eth"),
        wallet=wallet,
        profiles=profiles,
        http=gateway.http,
        service=gateway.native.service,
    )
    keys = ProfileKeys.from_storage_key(storage_key_from_signature(sign_text(wallet, storage_key_text(native.address))))
    ens = gateway.chain.ens
    await asyncio.to_thread(ens.register, native.name)
    await asyncio.to_thread(ens.set_addr, native.name, native.address)
    await asyncio.to_thread(ens.set_text, native.name, PROFILE_KEY, data_uri(native.signed_profile().to_text()))
    await server.register(f"person{number}", PASSWORD)

    def hear(stanza: Stanza) -> None:
        pair.hear(stanza)

    person = SteadyClient(server.jid(f"person{number}"), PASSWORD, host=server.host, port=server.c2s_port, heard=hear)
    name = EnsName(f"person{number}.{server.domain}.xmpp.gw.eth")
    pair = Pair(person, name, native, keys, f"{native.name}@{server.component}")
    return pair


async def _greet(pair: Pair) -> None:
    """The first message each way, which brings more with it than the others: profiles, a contact request, a notice."""

    async def answered() -> bool | None:
        # Until the gateway is connected the server sends it back.
        pair.person.send(chat(pair.contact, "hello"))
        await asyncio.sleep(0.1)
        await pair.pick_up()
        return ("hello" in pair.receipts and pair.picked_up["hello"] > 0) or None

    await until(answered, 30)
    await pair.native.send(pair.name, "welcome")

    async def seen() -> bool | None:
        return any(text.startswith("welcome") for text in pair.shown) or None

    await until(seen, 30)
    pair.picked_up.clear()
    pair.shown.clear()


async def _requests(pairs: list[Pair], profiles: Profiles, texts: list[str], host: str) -> list[bytes]:
    """HTTP requests that submit envelopes of each native client in turn to its person."""
    service = await profiles.delivery_service(pairs[0].native.service)
    recipients = [await profiles.user(pair.name) for pair in pairs]
    at = now_ms()

    def sealed(number: int, text: str) -> bytes:
        pair, recipient = pairs[number % len(pairs)], recipients[number % len(pairs)]
        draft = Message(to=pair.name, from_=pair.native.name, type=MessageType.NEW, timestamp=at + number, text=text)
        message = sign_message(draft, pair.keys.signing)
        envelope = seal(
            message, recipient.profile.public_encryption_key, service.public_encryption_key, pair.keys.signing
        )
        call = {"jsonrpc": "2.0", "id": number, "method": "dm3_submitMessage", "params": [canonical_envelope(envelope)]}
        body = json.dumps(call, separators=(",", ":")).encode()
        head = f"POST /ds/rpc HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        return f"{head}\r\n\r\n".encode() + body

    return await asyncio.to_thread(lambda: [sealed(number, text) for number, text in enumerate(texts)])


@asynccontextmanager
async def _running(*works: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Tasks while this lasts."""
    tasks = [asyncio.create_task(work()) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
