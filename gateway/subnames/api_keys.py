"""Keys for programs: ``dm3k_<id>_<secret>``, shown once, kept as a digest, good for one parent.

The secret has 256 bits, so a plain SHA-256 is as good as a slow hash: there is nothing to guess.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from gateway.dm3.canonical import stringify
from gateway.errors import GatewayError, InvalidInput, LimitExceeded, NotFound, Unauthorised
from gateway.ids import EnsName
from gateway.lifecycle import Clock
from gateway.rates import Rate
from gateway.store import Store
from gateway.store.api_keys import AddApiKey, ApiKey, ApiKeyOf, ListApiKeys, NoteApiKeyUse, RevokeApiKey
from gateway.store.audit import Audit, AuditEntry
from gateway.subnames.callers import Caller, CallerKind, Scope, scopes_of

PREFIX: Final = "dm3k"
"""By which scanners of leaked secrets know one."""
MAX_LABEL: Final = 100
"""Characters of the label that tells keys apart."""
MAX_KEYS: Final = 100
"""Keys of one parent that are not ended."""
PER_MINUTE: Final = 600
USE_NOTED_MS: Final = 60_000
"""A use is written down at most this often."""
_TOKEN: Final = re.compile(r"dm3k_([0-9a-f]{16})_[A-Za-z0-9_-]{43}\Z")
_BEARER: Final = re.compile(r"bearer +([!-~]+) *\Z", re.IGNORECASE)
_NOBODY: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; ``token`` is what the program sends, and is nowhere else."""

    key: ApiKey
    token: str = field(repr=False)


class ApiKeys:
    """Makes keys, ends them, and tells who comes with one; ``per_minute`` requests of each, 0 is no limit."""

    def __init__(self, *, store: Store, clock: Clock, per_minute: int = PER_MINUTE, rate: Rate | None = None) -> None:
        self._store = store
        self._clock = clock
        self._rate = rate or Rate(per_minute)

    async def make(
        self,
        parent: EnsName,
        scopes: frozenset[Scope],
        *,
        label: str,
        actor: str,
        expires_at: int | None = None,
    ) -> NewKey:
        """A new key for ``parent``, good until ``expires_at`` (ms) or for ever; ``actor`` is who asked for it.

        Raises InvalidInput for no scopes, a label that is too long or odd, or an end in the past; LimitExceeded.
        """
        now = self._clock()
        if not scopes:
            raise InvalidInput("a key needs at least one scope")
        if len(label) > MAX_LABEL or not label.isprintable():
            raise InvalidInput(f"a label has at most {MAX_LABEL} printable characters")
        if expires_at is not None and expires_at <= now:
            raise InvalidInput("the key would have ended already")
        alive = [key for key in await self.list(parent) if key.revoked_at is None]
        if len(alive) >= MAX_KEYS:
            raise LimitExceeded(f"{parent} has {MAX_KEYS} keys; revoke some")
        key_id = secrets.token_hex(8)
        token = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
        names = tuple(sorted(scopes))
        key = ApiKey(key_id, _digest(token), label, parent, names, actor, now, expires_at)
        entry = AuditEntry(now, actor, "key.created", parent, stringify({"key": key_id, "scopes": list(names)}))
        await self._store.commit_all(AddApiKey(key), Audit(entry))
        return NewKey(key, token)

    async def revoke(self, parent: EnsName, key_id: str, *, actor: str) -> None:
        """End a key at once, on every node. Raises NotFound, also for a key of another parent."""
        now = self._clock()
        if not any(key.id == key_id and key.revoked_at is None for key in await self.list(parent)):
            raise NotFound(f"{parent} has no key {key_id[:32]!r}")
        entry = AuditEntry(now, actor, "key.revoked", parent, stringify({"key": key_id}))
        await self._store.commit_all(RevokeApiKey(parent, key_id, now), Audit(entry))

    async def list(self, parent: EnsName) -> list[ApiKey]:
        """All keys of a parent, ended ones too."""
        found: list[ApiKey] = []
        while page := await self._store.read(ListApiKeys(parent, 500, found[-1].id if found else "")):
            found += page
        return found

    async def caller(self, authorization: str | None) -> Caller:
        """Who sent this ``Authorization`` header (``Bearer dm3k_…``).

        Raises Unauthorised in the same words for whatever is wrong with it, LimitExceeded for a key that asks too
        often. A wrong secret uses nothing up of the right key's rate.
        """
        now = self._clock()
        bearer = _BEARER.match(authorization or "")
        token = _TOKEN.match(bearer[1]) if bearer else None
        if token is None:
            raise Unauthorised("this needs a key: Authorization: Bearer dm3k_…")
        key = await self._store.read(ApiKeyOf(token[1]))
        right = hmac.compare_digest(_digest(token[0]), _NOBODY if key is None else key.digest)
        ended = key is None or key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now)
        if key is None or not right or ended:
            raise Unauthorised("this key is unknown, revoked or out of time")
        self._rate.take(key.id)
        await self._note_use(key, now)
        return Caller(CallerKind.KEY, key.id, key.parent, scopes_of(key.scopes))

    async def _note_use(self, key: ApiKey, now: int) -> None:
        if key.used_at is not None and key.used_at > now - USE_NOTED_MS:
            return
        # Nobody is refused because it could not be written down that they came.
        with contextlib.suppress(GatewayError):
            await self._store.commit(NoteApiKeyUse(key.id, now, now - USE_NOTED_MS))


def is_key(authorization: str | None) -> bool:
    """Whether this header is meant to be a key, and not the token of a wallet's session."""
    bearer = _BEARER.match(authorization or "")
    return bearer is not None and bearer[1].startswith(f"{PREFIX}_")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
