"""A person with a wallet, as a page or a script drives it: over HTTP, with real signatures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx2

from gateway.dm3.encoding import to_hex
from gateway.dm3.eth import address_of, checksum, sign_digest, sign_text
from gateway.ids import EnsName, EthAddress
from tests.support.house import House


@dataclass
class Wallet:
    """A key, and the gateway that it talks to."""

    house: House
    key: bytes = field(repr=False)
    token: str | None = None

    @property
    def address(self) -> EthAddress:
        """Lower-case, as the gateway keeps it."""
        return address_of(self.key)

    @property
    def shown(self) -> str:
        """Checksummed, as the gateway shows it."""
        return checksum(self.address)

    async def post(self, path: str, body: Any, *, session: bool = False) -> httpx2.Response:
        """POST JSON below /api/v1."""
        headers = {"authorization": f"Bearer {self.token}"} if session else {}
        return await self.house.http.post(f"{self.house.url}/api/v1{path}", json=body, headers=headers)

    async def get(self, path: str, *, session: bool = False) -> httpx2.Response:
        """GET below /api/v1."""
        headers = {"authorization": f"Bearer {self.token}"} if session else {}
        return await self.house.http.get(f"{self.house.url}/api/v1{path}", headers=headers)

    async def claim_text(self, name: str) -> str:
        """What is to be signed for a claim."""
        answer = await self.post("/claims/message", {"name": name, "address": self.shown})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["message"])

    async def claim(self, name: str) -> httpx2.Response:
        """Claim, or the refusal of one of the two steps; a success signs in, too."""
        asked = await self.post("/claims/message", {"name": name, "address": self.shown})
        if asked.status_code != 200:
            return asked
        answer = await self.post("/claims", self.signed(name, asked.json()["message"]))
        if answer.status_code == 201:
            self.token = answer.json()["session"]["token"]
        return answer

    def signed(self, name: str, message: str) -> dict[str, str]:
        """The body of a claim."""
        return {"name": name, "message": message, "signature": sign_text(self.key, message)}

    async def sign_in(self) -> None:
        """A session."""
        message = (await self.post("/wallet/message", {"address": self.shown})).json()["message"]
        answer = await self.post("/wallet/session", {"message": message, "signature": sign_text(self.key, message)})
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["token"]

    async def prepared(self, name: str, **order: Any) -> dict[str, Any]:
        """An order with its signature, ready to be sent."""
        answer = await self.post(f"/names/{name}/orders/prepare", order)
        assert answer.status_code == 200, answer.text
        return {"order": answer.json()["order"], "signature": self.sign_typed(answer.json()["typedData"])}

    async def order(self, name: str, **order: Any) -> httpx2.Response:
        """Order something of one's own name."""
        return await self.post(f"/names/{name}/orders", await self.prepared(name, **order))

    def sign_typed(self, typed: dict[str, Any]) -> str:
        """As a wallet does it: by an implementation of EIP-712 that is not ours."""
        from eth_account.messages import _hash_eip191_message, encode_typed_data

        return to_hex(sign_digest(self.key, bytes(_hash_eip191_message(encode_typed_data(full_message=typed)))))


async def shown(house: House, name: str) -> dict[str, Any]:
    """A name as everybody sees it."""
    answer = await house.http.get(f"{house.url}/api/v1/names/{name}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def text_of(house: House, name: str, key: str) -> str:
    """A text record by the chain and CCIP-read."""
    return str(await house.ens.text(EnsName(name), key))


def detail(answer: httpx2.Response, status: int) -> str:
    """The reason in words of a refusal with this status."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["error"]
    return str(body["detail"])
