"""Who is logged in: single-use challenges signed with the profile's key, opaque tokens kept as hashes only."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

from gateway.custody.directory import Directory
from gateway.dm3.auth import verify_challenge
from gateway.ens.names import normalise
from gateway.errors import BadSignature, GatewayError, Unauthorised
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.sessions import ConsumeChallenge, IssueChallenge, IssueToken, Session, TokenSubject

CHALLENGE_LIFE_MS: Final = 5 * 60_000
TOKEN_LIFE_MS: Final = 60 * 60_000
PURPOSE: Final = "login"
MAX_CHALLENGE: Final = 256
_BEARER = re.compile(r"Bearer +([A-Za-z0-9_-]{20,100})\Z", re.IGNORECASE)


class Sessions:
    """Log-in of native clients (the reference's /auth): prove the profile's signing key, get a token for one hour."""

    def __init__(self, *, store: Store, directory: Directory, clock: Clock) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock

    async def challenge(self, name: EnsName) -> str:
        """A fresh text to sign, good for five minutes, one use and this name only."""
        await self._directory.user(name)
        challenge = f"dm3.{secrets.token_urlsafe(32)}"
        now = self._clock()
        await self._store.commit(IssueChallenge(_digest(challenge), name, PURPOSE, now + CHALLENGE_LIFE_MS))
        return challenge

    async def log_in(self, name: EnsName, challenge: str, signature: str) -> str:
        """A bearer token; raises BadSignature for anything that is not right, in the reference's words."""
        known = len(challenge) <= MAX_CHALLENGE and await self._store.commit(
            ConsumeChallenge(_digest(challenge), name, PURPOSE, self._clock())
        )
        if not known:
            raise BadSignature
        for fresh in (False, True):
            profile = await self._directory.user(name, fresh=fresh)
            if verify_challenge(profile.profile.public_signing_key, challenge, signature):
                token = secrets.token_urlsafe(32)
                expires = self._clock() + TOKEN_LIFE_MS
                await self._store.commit(IssueToken(_digest(token), name, profile.address, expires))
                return token
        raise BadSignature

    async def authenticate(self, authorization: str | None, name: str) -> Session:
        """The session behind an Authorization header, which must be of the owner of `name`; else Unauthorised."""
        found = _BEARER.match(authorization or "")
        session = await self._store.read(TokenSubject(_digest(found[1]), self._clock())) if found else None
        if session is None:
            raise Unauthorised
        wanted = normalise(name)
        if wanted != session.name:
            try:
                owner = (await self._directory.user(wanted)).address
            except GatewayError:
                raise Unauthorised from None
            if owner != session.address:
                raise Unauthorised
        return session


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
