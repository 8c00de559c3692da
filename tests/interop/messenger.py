"""People with a JavaScript DM3 messenger: the published libraries as a foreign client of our gateway."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway.dm3.message import MessageType
from gateway.ids import EnsName, EthAddress
from tests.support.house import House
from tests.support.node import JS_FOLDER, NodeScript
from tests.support.waiting import until

SCRIPT: Final = JS_FOLDER / "dm3" / "messenger.cjs"
PUSH_SECONDS: Final = 15
"""Upper bound for anything to come over a socket."""
PROFILE_KEY: Final = "network.dm3.profile"

SIZE_LIMIT: Final = 200_000
"""Bytes of the largest envelope that the gateway of these tests takes."""

OVERRIDES: Final[Mapping[str, str]] = {
    # All messengers of a module are one network address.
    "DM3_GATEWAY__RELAY__LOG_INS_PER_MINUTE": "0",
    "DM3_GATEWAY__RELAY__SIZE_LIMIT": str(SIZE_LIMIT),
}
"""What the configuration of the gateway of these tests says otherwise than usual."""

Generation = Literal["npm", "develop", "spec"]
GENERATIONS: Final[tuple[Generation, ...]] = ("npm", "develop")
"""What messengers in the field put on the wire: the published packages, and what came after them."""


def fresh(label: str) -> str:
    """A name that nobody has yet."""
    return f"{label}{secrets.token_hex(4)}.eth"


class Refused(Exception):
    """The messenger was told no: the HTTP status and the body that it saw."""

    def __init__(self, status: int, data: Any) -> None:
        super().__init__(f"{status}: {data}")
        self.status = status
        self.data = data


@dataclass(frozen=True, slots=True)
class Opened:
    """A message as the messenger has it after decryption, with what the libraries say of its signatures."""

    message: dict[str, Any]
    metadata: dict[str, Any]
    postmark: dict[str, Any]
    verified: dict[str, bool]

    @property
    def text(self) -> str | None:
        """What was written."""
        text: str | None = self.message.get("message")
        return text

    @property
    def type(self) -> str:
        """Type of the message."""
        kind: str = self.message["metadata"]["type"]
        return kind

    @property
    def sender(self) -> str:
        """Who wrote it."""
        name: str = self.message["metadata"]["from"]
        return name

    @property
    def reference(self) -> str | None:
        """The message that this one is about."""
        digest: str | None = self.message["metadata"].get("referenceMessageHash")
        return digest

    @property
    def is_genuine(self) -> bool:
        """The sender's profile signed the message, and the service its postmark for this very envelope."""
        return all(self.verified.values())


def texts(mail: Sequence[Opened]) -> list[str | None]:
    """What was written."""
    return [each.text for each in mail]


class Messengers:
    """The process in which all JavaScript people of a test live; its answers come one after the other."""

    def __init__(self, script: NodeScript) -> None:
        self._script = script
        self._turn = asyncio.Lock()

    async def ask(self, op: str, **args: Any) -> Any:
        """What the script answers; raises NodeError for what its code threw."""
        async with self._turn:
            return await asyncio.to_thread(self._script.call, op, **args)

    async def open(self, house: House) -> None:
        """Forget everybody, and look at this house's chain from now on."""
        chain = house.chain
        await self.ask("open", rpcUrl=chain.url, chainId=chain.chain_id, registry=chain.registry)

    async def join(self, house: House, name: str, generation: Generation = "develop") -> Messenger:
        """Somebody new with a wallet, whose name and profile are in ENS and who is logged in at the house's relay."""
        person = await self.create(house, name, generation)
        await person.publish()
        await person.log_in()
        return person

    async def create(
        self,
        house: House,
        name: str,
        generation: Generation = "develop",
        *,
        wallet: bytes | None = None,
        nonce: str | None = None,
        services: Sequence[str] = (),
    ) -> Messenger:
        """Somebody with a wallet and a signed profile that nobody knows yet.

        The profile names `services`, or else the house's.
        """
        wallet = wallet or secrets.token_bytes(32)
        person = secrets.token_hex(4)
        made = await self.ask(
            "create",
            person=person,
            name=name,
            walletKey="0x" + wallet.hex(),
            services=list(services) or [house.gateway.service_name],
            dialect=generation,
            nonce=nonce,
        )
        return Messenger(self, house, person, wallet, made)


class Messenger:
    """One person."""

    def __init__(self, messengers: Messengers, house: House, person: str, wallet: bytes, made: dict[str, Any]) -> None:
        self.name = EnsName(made["name"])
        self.address = EthAddress(made["address"].lower())
        self.signed: dict[str, Any] = made["signed"]
        self.wallet = wallet
        self._uri: str = made["uri"]
        self._messengers = messengers
        self._house = house
        self._person = person

    @property
    def service_url(self) -> str:
        """Address of the house's delivery service."""
        return f"{self._house.url}/ds"

    async def ask(self, op: str, **args: Any) -> Any:
        """One operation of this person."""
        return await self._messengers.ask(op, person=self._person, **args)

    async def publish(self, url: str | None = None) -> None:
        """Write name, address and profile into ENS, and find the delivery service there; or use the one at `url`."""
        await asyncio.to_thread(self._write)
        await self.ask("meet", url=url)

    def _write(self) -> None:
        ens = self._house.chain.ens
        ens.register(self.name)
        ens.set_addr(self.name, self.address)
        ens.set_text(self.name, PROFILE_KEY, self._uri)

    async def register(self, signed: dict[str, Any] | None = None) -> Any:
        """Post a signed profile, the own one unless given, to the delivery service; what it answers."""
        return _value(await self.ask("register", signed=signed))

    async def log_in(self) -> None:
        """As a messenger does when it starts."""
        _value(await self.ask("logIn"))

    async def requests(self) -> list[tuple[str, str, int]]:
        """Method, path and status of all requests to the delivery service since this was asked last."""
        return [(method, path, status) for method, path, status in await self.ask("requests")]

    async def send(
        self, to: str, text: str = "", *, type: str = MessageType.NEW, reference: str | None = None, **fields: Any
    ) -> str:
        """Write to all delivery services of somebody; the hash by which this messenger knows the message.

        Raises Refused when one of them does not take it.
        """
        answer = await self.ask("send", to=to, type=type, text=text, reference=reference, **fields)
        digest: str = _value(answer)
        return digest

    async def seal(self, to: str, text: str = "", **fields: Any) -> dict[str, Any]:
        """An envelope that is not sent: {envelope, url, hash, size}."""
        sealed: dict[str, Any] = await self.ask("seal", to=to, text=text, **({"type": MessageType.NEW} | fields))
        return sealed

    async def request(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """Any request, by the messenger's HTTP client: {status, data, headers}."""
        answer: dict[str, Any] = await self.ask("request", method=method, url=url, **options)
        return answer

    async def post(self, url: str, method: str, *params: Any, **more: Any) -> dict[str, Any]:
        """A JSON-RPC call to a delivery service, as `request`; `more` goes into the call, an id for example."""
        call = {"jsonrpc": "2.0", "method": method, "params": params, **more}
        return await self.request("POST", f"{url}/rpc", data=call)

    async def fetch(self, contact: str | None = None) -> list[Opened]:
        """All mail that can be read, in the order of the answer; of one sender with `contact`. Raises Refused."""
        return _opened(_value(await self.ask("fetch", contact=contact)))

    async def mail(self, number: int = 1, type: str = MessageType.NEW) -> list[Opened]:
        """What waits, oldest first, once there are `number` of a type."""

        async def look() -> list[Opened] | None:
            found = [each for each in reversed(await self.fetch()) if each.type == type]
            return found if len(found) >= number else None

        return await until(look)

    async def pick_up(self, **options: Any) -> list[str]:
        """Fetch and acknowledge in the messenger's way; the texts, oldest first."""
        return [each["message"].get("message") for each in await self.ask("pickUp", **options)]

    async def notifications(self, method: str, path: str = "", **body: Any) -> Any:
        """Ask for settings under ``/notifications/<path><name>`` or change them; the body of a 200. Raises Refused."""
        answer = _value(await self.ask("notifications", method=method, path=path, body=body or None))
        assert answer["status"] == 200
        return answer["data"]

    async def listen(self, session: str = "one", until: str = "authorized", **options: Any) -> list[str]:
        """Open a socket and wait until it is what it should be; the events of the socket so far."""
        events: list[str] = await self.ask("listen", session=session, until=until, seconds=PUSH_SECONDS, **options)
        return events

    async def pushed(self, number: int = 1, session: str = "one") -> list[Opened]:
        """What came over a socket since it was opened, once there are `number`, or in the end."""
        return _opened(await self.ask("pushed", session=session, count=number, seconds=PUSH_SECONDS))

    async def emit(self, to: str = "", text: str = "", *, session: str = "one", **fields: Any) -> dict[str, Any]:
        """Submit over the own socket: {answer, hash}."""
        fields = {"type": MessageType.NEW, "seconds": PUSH_SECONDS} | fields
        answer: dict[str, Any] = await self.ask("emit", session=session, to=to, text=text, **fields)
        return answer

    async def hang_up(self, session: str = "one") -> None:
        """Close one socket."""
        await self.ask("hangUp", session=session)


def _value(answer: dict[str, Any]) -> Any:
    if not answer["done"]:
        raise Refused(answer["status"], answer["data"])
    return answer.get("value")


def _opened(value: list[dict[str, Any]]) -> list[Opened]:
    return [Opened(**each) for each in value]
