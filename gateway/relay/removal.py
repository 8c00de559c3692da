"""Closing an account by a wallet signature, asked for anew each time: works when the profile's keys are lost, too."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final
from urllib.parse import urlsplit

from gateway.dm3.siwe import Purpose, SiweMessage, check_siwe
from gateway.ens.localparts import punycode_localpart
from gateway.errors import WalletRefused
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import Clock
from gateway.relay.accounts import Accounts
from gateway.store import Store
from gateway.store.sessions import ConsumeChallenge, IssueChallenge

LIFE_MS: Final = 10 * 60_000
PURPOSE: Final = "removal"
MAX_NAME: Final = 900
"""Octets of our name in a statement."""


class Removal:
    """Gives the text to sign, and closes the account of whoever signed it (ERC-4361, one use, ten minutes)."""

    def __init__(
        self, *, store: Store, accounts: Accounts, service_name: EnsName, public_url: str, chain_id: int, clock: Clock
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock
        # A statement is ASCII (ERC-4361).
        service = punycode_localpart(service_name, max_octets=MAX_NAME).text
        self._purpose = Purpose(
            domain=urlsplit(public_url).netloc,
            uri=public_url,
            chain_id=chain_id,
            statement=f"Remove my account at {service} and delete all mail that waits there.",
            longest_ms=LIFE_MS,
        )

    async def text(self, address: EthAddress) -> str:
        """A fresh text for the wallet of `address`."""
        now, nonce = self._clock(), secrets.token_hex(16)
        await self._store.commit(IssueChallenge(_digest(nonce), address, PURPOSE, now + LIFE_MS))
        return SiweMessage(
            domain=self._purpose.domain,
            address=address,
            statement=self._purpose.statement,
            uri=self._purpose.uri,
            chain_id=self._purpose.chain_id,
            nonce=nonce,
            issued_at=now,
            expires_at=now + LIFE_MS,
        ).to_text()

    async def remove(self, text: str, signature: str) -> EthAddress:
        """Close the account of the signer, whose address is returned.

        Raises InvalidInput for what is no such text, and WalletRefused for a signature of somebody else, from another
        site, for something else, out of its time, or used before.
        """
        now = self._clock()
        message = check_siwe(text, signature, self._purpose, now)
        known = ConsumeChallenge(_digest(message.nonce), message.address, PURPOSE, now)
        if not await self._store.commit(known):
            raise WalletRefused("this text was used before, or never given out")
        await self._accounts.close(message.address)
        return message.address


def _digest(nonce: str) -> bytes:
    return hashlib.sha256(nonce.encode()).digest()
