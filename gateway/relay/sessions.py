"""Who is logged in: single-use challenges signed with the profile's key, opaque tokens kept as hashes only."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from dataclasses import replace
from itertools import compress
from typing import Final

from gateway.custody.directory import Directory
from gateway.dm3.auth import verify_challenge
from gateway.ens.names import normalise
from gateway.errors import BadSignature, GatewayError, Unauthorised
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.store import Store
from gateway.store.sessions import (
    ConsumeChallenge,
    IssueChallenge,
    IssueToken,
    RevokeToken,
    Session,
    TokenSubject,
)
from gateway.store.usage import MailboxNames

CHALLENGE_LIFE_MS: Final = 5 * 60_000
TOKEN_LIFE_MS: Final = 60 * 60_000
PURPOSE: Final = "login"
MAX_CHALLENGE: Final = 256
MAX_NAMES: Final = 100
"""Names of one owner that are looked at for one pick-up."""
NAME_SECONDS: Final = 3.0
"""For the look-ups of all of them."""
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
                key = profile.profile.public_signing_key
                await self._store.commit(IssueToken(_digest(token), name, profile.address, key, expires))
                return token
        raise BadSignature

    async def authenticate(self, authorization: str | None, name: str) -> Session:
        """The session behind an Authorization header, which must be of the owner of `name`; else Unauthorised."""
        session = await self.session(authorization)
        asked = normalise(name)
        if asked != session.name and not await self._owns(session, asked):
            raise Unauthorised
        return replace(session, name=asked)

    async def session(self, authorization: str | None) -> Session:
        """The session behind an Authorization header, of whoever it is; else Unauthorised."""
        found = _BEARER.match(authorization or "")
        return await self.of_token(found[1] if found else "")

    async def of_token(self, token: str) -> Session:
        """The session of a bare token; Unauthorised when there is none, or the key was changed since."""
        known = await self._store.read(TokenSubject(_digest(token), self._clock())) if token else None
        if known is None or not await self._owns(known, known.name):
            raise Unauthorised
        return known

    async def log_out(self, authorization: str | None) -> None:
        """End the session; Unauthorised when there is none."""
        found = _BEARER.match(authorization or "")
        if found is None or not await self._store.commit(RevokeToken(_digest(found[1]))):
            raise Unauthorised

    async def readable_names(self, session: Session) -> tuple[EnsName, ...]:
        """Names of the owner whose waiting mail this session may read, the session's own first.

        One address has one mailbox for all its names, but an address record alone proves nothing: anybody can point a
        name at somebody else's address. A name counts when its present profile has the key of this session. Names
        that others invent cannot crowd out the one that the owner asked for, nor hold it up: what cannot be looked up
        now is left out this time.
        """
        waiting = await self._store.read(MailboxNames(session.address, MAX_NAMES))
        others = [name for name in waiting if name != session.name]
        owned = await asyncio.gather(*(self._owns_now(session, name) for name in others))
        return session.name, *compress(others, owned)

    async def _owns_now(self, session: Session, name: EnsName) -> bool:
        try:
            async with asyncio.timeout(NAME_SECONDS):
                return await self._owns(session, name)
        except (GatewayError, TimeoutError):
            return False

    async def _owns(self, session: Session, name: EnsName) -> bool:
        """Whether the name's profile is at the session's address and has its key now, a rotated key having none."""
        try:
            profile = await self._directory.user(name)
        except GatewayError as error:
            if error.retry:
                raise
            return False
        return profile.address == session.address and profile.profile.public_signing_key == session.signing_key


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
