"""Wallets that sign in or claim: texts to sign (ERC-4361), each good once and for ten minutes, and what they allow."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gateway.dm3.siwe import Purpose, SiweMessage, check_purpose
from gateway.ens.localparts import punycode_localpart
from gateway.ens.wallets import Wallets
from gateway.errors import Unauthorised, WalletRefused
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.sessions import ConsumeChallenge, IssueChallenge
from gateway.store.wallet_sessions import DropWalletSession, PutWalletSession, WalletOf

LIFE_MS: Final = 10 * 60_000
SESSION_MS: Final = 12 * 3600 * 1000
"""For which a wallet stays signed in."""
MANAGE: Final = "Sign in to manage my names."
MAX_NAME: Final = 900
"""Octets of a name in a statement."""
SIGN_IN: Final = "wallet"
"""Purpose of a challenge; for claims it is followed by the name."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A wallet's session; the token is shown once and kept only as its digest."""

    address: EthAddress
    token: str
    expires_at: int


def ascii_name(name: EnsName) -> str:
    """The name with punycode for labels beyond ASCII, as statements and address lines need it."""
    return punycode_localpart(name, max_octets=MAX_NAME).text


class SigningIn:
    """Gives texts to wallets and takes their signatures, those of contracts, too (ERC-1271)."""

    def __init__(
        self,
        *,
        store: Store,
        wallets: Wallets,
        public_url: str,
        chain_id: int,
        clock: Clock,
        statement: str = MANAGE,
        challenge: str = SIGN_IN,
    ) -> None:
        """``statement`` is what a wallet agrees to that signs in; a text for one ``challenge`` is none for another."""
        self._statement = statement
        self._challenge = challenge
        self._store = store
        self._wallets = wallets
        self._url = public_url
        self._chain_id = chain_id
        self._clock = clock

    async def claim_text(self, address: EthAddress, name: EnsName) -> str:
        """What `address` signs to claim `name`."""
        return await self._text(address, self._claim(name), f"{SIGN_IN}:{name}")

    async def check_claim(self, name: EnsName, text: str, signature: str) -> EthAddress:
        """Who claims `name` by this signature.

        Raises InvalidInput for what is no such text, WalletRefused for a signature of somebody else, from another
        site, for another name, out of its time, or used before; ChainUnavailable.
        """
        return await self._check(text, signature, self._claim(name), f"{SIGN_IN}:{name}")

    async def session_text(self, address: EthAddress) -> str:
        """What `address` signs to sign in."""
        return await self._text(address, self._sign_in(), self._challenge)

    async def sign_in(self, text: str, signature: str) -> SignedIn:
        """A session for who signed; raises as `check_claim` does."""
        return await self.begin(await self.signer(text, signature))

    async def signer(self, text: str, signature: str) -> EthAddress:
        """Who signed a text to sign in with, which is used up by it; raises as `check_claim` does."""
        return await self._check(text, signature, self._sign_in(), self._challenge)

    async def begin(self, address: EthAddress) -> SignedIn:
        """A session for a wallet that has just proved itself."""
        token, until = secrets.token_urlsafe(32), self._clock() + SESSION_MS
        await self._store.commit(PutWalletSession(_digest(token), address, until))
        return SignedIn(address, token, until)

    async def wallet(self, authorization: str | None) -> EthAddress:
        """Whose session an Authorization header is; raises Unauthorised."""
        scheme, _, token = (authorization or "").partition(" ")
        found = None
        if scheme.lower() == "bearer" and token:
            found = await self._store.read(WalletOf(_digest(token), self._clock()))
        if found is None:
            raise Unauthorised("sign in with your wallet first")
        return found

    async def sign_out(self, authorization: str | None) -> None:
        """End a session; what is none is no error."""
        token = (authorization or "").partition(" ")[2]
        await self._store.commit(DropWalletSession(_digest(token)))

    def _claim(self, name: EnsName) -> Purpose:
        return self._purpose(f"Claim the name {ascii_name(name)} for this address.")

    def _sign_in(self) -> Purpose:
        return self._purpose(self._statement)

    def _purpose(self, statement: str) -> Purpose:
        return Purpose(
            domain=urlsplit(self._url).netloc,
            uri=self._url,
            chain_id=self._chain_id,
            statement=statement,
            longest_ms=LIFE_MS,
        )

    async def _text(self, address: EthAddress, purpose: Purpose, challenge: str) -> str:
        now, nonce = self._clock(), secrets.token_hex(16)
        await self._store.commit(IssueChallenge(_digest(nonce), address, challenge, now + LIFE_MS))
        return SiweMessage(
            domain=purpose.domain,
            address=address,
            statement=purpose.statement,
            uri=purpose.uri,
            chain_id=purpose.chain_id,
            nonce=nonce,
            issued_at=now,
            expires_at=now + LIFE_MS,
        ).to_text()

    async def _check(self, text: str, signature: str, purpose: Purpose, challenge: str) -> EthAddress:
        now = self._clock()
        message = check_purpose(text, purpose, now)
        if not await self._wallets.signed_text(message.address, text, signature):
            raise WalletRefused("not signed by the address that it names")
        if not await self._store.commit(ConsumeChallenge(_digest(message.nonce), message.address, challenge, now)):
            raise WalletRefused("this text was used before, or never given out")
        return message.address


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
