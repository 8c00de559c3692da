"""Who may enter at which door, for tests that go through all of them."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.lifecycle import now_ms
from gateway.operations.dm3_client import Dm3Client
from gateway.subnames.api_keys import ApiKeys
from gateway.subnames.callers import EVERYTHING
from tests.integration.relay.clients import logged_in
from tests.integration.subnames.wallets import Wallet
from tests.support.house import PARENT, House
from tests.support.routes import AnyValue, Operation

_ADMIN = "/api/v1/admin"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a program, a wallet and a DM3 client log in with."""

    key: str
    wallet: str
    client: str

    def of(self, door: Operation) -> str:
        """The one that opens this door, where any does."""
        if door.template.startswith(_ADMIN):
            return self.key
        return self.wallet if door.template.startswith(("/api/v1/names", "/api/v1/wallet")) else self.client


async def tokens_of(house: House, alice: Dm3Client) -> Tokens:
    """Alice's as a client and as a wallet, and a key that may do everything below the parent."""
    keys = ApiKeys(store=house.gateway.store, clock=now_ms, per_minute=0)
    made = await keys.make(PARENT, EVERYTHING, label="all", actor="operator")
    wallet = Wallet(house, house.chain.accounts["alice"].key)
    await wallet.sign_in()
    assert wallet.token is not None
    return Tokens(made.token, wallet.token, (await logged_in(house, alice, "alice")).token)


def path_of(door: Operation) -> str:
    """The door's path for somebody who may enter: keys see names below the parent only."""
    below = {"name": f"robert.{PARENT}"} if door.template.startswith(_ADMIN) else {}
    return door.path(AnyValue(below))
