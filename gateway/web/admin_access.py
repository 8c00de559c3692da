"""Who may see the operator pages: a token or the signature of a listed wallet, and then a session in a cookie.

A page that is rendered by the server needs a cookie, because a link sends no header. Other origins cannot use it: it is
SameSite=Strict, and what changes something needs the Origin of these very pages (`gateway.web.admin_guard`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from starlette.requests import Request

from gateway.admin_settings import AdminSettings
from gateway.dm3.canonical import stringify
from gateway.dm3.eth import parse_address
from gateway.errors import ConfigError, Unauthorised
from gateway.ids import EthAddress
from gateway.lifecycle import Clock
from gateway.operations.secret_files import write_secret
from gateway.rates import Rate, asker_of
from gateway.store import Store
from gateway.store.audit import Audit, AuditEntry
from gateway.store.wallet_sessions import DropWalletSession, PutWalletSession, WalletOf
from gateway.subnames.signing_in import SigningIn

log = structlog.get_logger(__name__)

COOKIE: Final = "dm3_operator"
SESSION_MS: Final = 8 * 3600 * 1000
OPERATOR: Final = EthAddress("operator")
"""Whose session it is that began with the token; also how the audit log names whoever runs commands."""
LOG_INS_PER_MINUTE: Final = 10
"""Of one asker."""
ALL_LOG_INS_PER_MINUTE: Final = 60
SHORTEST_TOKEN: Final = 20

SigningInAt = Callable[[str], SigningIn]
"""Texts for wallets that are asked at an origin."""


@dataclass(frozen=True, slots=True)
class Entered:
    """A session that began; its token goes into the cookie and is kept as a digest only."""

    actor: EthAddress
    token: str
    seconds: int


class Access:
    """Log-in, sessions, log-out. Every node knows the sessions of all."""

    def __init__(self, settings: AdminSettings, *, store: Store, signing_in: SigningInAt, clock: Clock) -> None:
        """Read the token, or make one; raises ConfigError."""
        self._store = store
        self._signing_in = signing_in
        self._clock = clock
        self._token = None if settings.token_file is None else read_or_make(settings.token_file)
        self._owners = frozenset(map(parse_address, settings.owners))
        self._rate = Rate(LOG_INS_PER_MINUTE)
        self._all = Rate(ALL_LOG_INS_PER_MINUTE)

    @property
    def by_token(self) -> bool:
        """Whether a token lets in."""
        return self._token is not None

    @property
    def by_wallet(self) -> bool:
        """Whether a wallet lets in."""
        return bool(self._owners)

    async def actor(self, request: Request) -> EthAddress | None:
        """Whose session a request belongs to: a wallet's address, or ``OPERATOR``; None for nobody's.

        A wallet that is no longer listed, and a token that was replaced, end their sessions.
        """
        token = request.cookies.get(COOKIE, "")
        if not token:
            return None
        found = await self._store.read(WalletOf(self._digest(token), self._clock()))
        if found is None or (found != OPERATOR and found not in self._owners):
            return None
        return found

    async def enter_by_token(self, request: Request, given: str) -> Entered:
        """Begin a session; raises Unauthorised for a wrong token, LimitExceeded."""
        self._count(request)
        right = self._token
        if right is None or not hmac.compare_digest(given.strip().encode(), right.encode()):
            log.warning("admin.refused", client=asker_of(request.scope), by="token")
            raise Unauthorised("this is not the token")
        return await self._begin(OPERATOR)

    async def text(self, request: Request, origin: str, address: EthAddress) -> str:
        """What a wallet signs to log in; raises Unauthorised for one that is not listed, LimitExceeded."""
        self._count(request)
        self._require(address, request)
        return await self._signing_in(origin).session_text(address)

    async def enter_by_wallet(self, request: Request, origin: str, text: str, signature: str) -> Entered:
        """Begin a session; raises WalletRefused, Unauthorised, LimitExceeded."""
        self._count(request)
        address = await self._signing_in(origin).signer(text, signature)
        self._require(address, request)
        return await self._begin(address)

    async def leave(self, request: Request) -> None:
        """End the session of a request."""
        await self._store.commit(DropWalletSession(self._digest(request.cookies.get(COOKIE, ""))))

    def _require(self, address: EthAddress, request: Request) -> None:
        if address not in self._owners:
            log.warning("admin.refused", client=asker_of(request.scope), by="wallet")
            raise Unauthorised("this wallet is not in admin.owners")

    def _count(self, request: Request) -> None:
        self._rate.take(asker_of(request.scope))
        self._all.take("everybody")

    async def _begin(self, actor: EthAddress) -> Entered:
        token, now = secrets.token_urlsafe(32), self._clock()
        entry = AuditEntry(now, actor, "admin.entered", "admin", stringify({"by": _way(actor)}))
        session = PutWalletSession(self._digest(token), actor, now + SESSION_MS)
        await self._store.commit_all(session, Audit(entry))
        return Entered(actor, token, SESSION_MS // 1000)

    def _digest(self, token: str) -> bytes:
        """Bound to the log-in token, and of no use as the session of a wallet that manages its names."""
        return hashlib.sha256(f"admin\n{self._token or ''}\n{token}".encode()).digest()


def read_or_make(file: Path) -> str:
    """The token in a file, which is made when it is not there; raises ConfigError."""
    try:
        if not file.exists():
            write_secret(file, f"{secrets.token_urlsafe(32)}\n")
            log.info("admin.token_made", file=file.name)
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"admin.token_file: {file}: cannot be read or made: {error}") from None
    if len(text) < SHORTEST_TOKEN:
        raise ConfigError(
            f"admin.token_file: {file}: has less than {SHORTEST_TOKEN} characters; delete it for a new one"
        )
    return text


def _way(actor: EthAddress) -> str:
    return "token" if actor == OPERATOR else "wallet"
