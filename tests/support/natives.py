"""Native DM3 clients beside the users of a bridged network."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from dataclasses import dataclass, field

from gateway.dm3.data_uri import data_uri
from gateway.dm3.message import MessageType
from gateway.ens.profiles import PROFILE_KEY
from gateway.ids import EnsName
from gateway.operations.dm3_client import Dm3Client, Received
from tests.support.house import House
from tests.support.waiting import until

WITHOUT_RATES = {"DM3_GATEWAY__RELAY__LOG_INS_PER_MINUTE": "0", "DM3_GATEWAY__RELAY__CALLS_PER_MINUTE": "0"}
"""All native clients of all tests have one address."""
_numbers = itertools.count(1)


@dataclass(kw_only=True)
class Natives:
    """The native clients of one gateway, and what they got."""

    house: House
    heard: dict[EnsName, list[Received]] = field(default_factory=dict)

    async def native(self, name: str = "", service: str = "") -> Dm3Client:
        """A native DM3 client with a wallet of its own and a profile that names this gateway."""
        client = Dm3Client(
            name=EnsName(name or f"native{next(_numbers)}.eth"),
            wallet=secrets.token_bytes(32),
            profiles=self.house.profiles,
            http=self.house.http,
            service=EnsName(service) if service else self.house.gateway.service_name,
        )
        await asyncio.to_thread(_publish, self.house, client)
        return client

    async def mail(
        self, client: Dm3Client, number: int = 1, kind: MessageType = MessageType.NEW, seconds: float = 60
    ) -> list[Received]:
        """What came for a native client, once there are so many of a kind; all that came so far is kept in order."""
        heard = self.heard.setdefault(client.name, [])

        async def look() -> list[Received] | None:
            new = await client.fetch()
            if new:
                await client.acknowledge(*new)
                heard.extend(new)
            found = [each for each in heard if each.message.type is kind]
            return found if len(found) >= number else None

        return await until(look, seconds)


def _publish(house: House, client: Dm3Client) -> None:
    """The chain's root owns the name: the wallet is none of its accounts."""
    ens = house.chain.ens
    ens.register(client.name)
    ens.set_addr(client.name, client.address)
    ens.set_text(client.name, PROFILE_KEY, data_uri(client.signed_profile().to_text()))
