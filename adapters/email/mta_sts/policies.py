"""Which policy is in force for a domain: the one that was fetched last and is not too old (RFC 8461, section 5).

Policies are kept on disk, for all nodes: whoever can block DNS or HTTPS for a while does not get rid of one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from weakref import WeakValueDictionary

import structlog
from cachetools import TTLCache

from adapters.email.mta_sts.fetch import FETCH_TIME, FetchFailed
from adapters.email.mta_sts.policy import Mode, Policy, record_id
from adapters.email.tls import ResultType
from gateway.sdk import NotFound, Unavailable, Value, Values

log = structlog.get_logger(__name__)

KIND: Final = "mta-sts"
REFRESH_MS: Final = 24 * 3600 * 1000
"""Age at which a policy is fetched again though its id is the same (section 3.3: "for instance, daily")."""
PAUSE_SECONDS: Final = 300
"""After a failed fetch (section 3.3 says five minutes or more)."""


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """A policy, its id, and when it was fetched in milliseconds."""

    id: str
    fetched_at: int
    policy: Policy

    def in_force(self, now_ms: int) -> bool:
        """Whether it is not too old."""
        return now_ms < self.fetched_at + self.policy.max_age * 1000

    def to_text(self) -> str:
        """As it is kept."""
        policy = self.policy
        return json.dumps(
            {"id": self.id, "at": self.fetched_at, "mode": policy.mode, "max_age": policy.max_age, "mx": policy.mx}
        )


def parse_kept(text: str) -> KeptPolicy:
    """Read what `to_text` wrote."""
    kept = json.loads(text)
    return KeptPolicy(kept["id"], kept["at"], Policy(Mode(kept["mode"]), kept["max_age"], tuple(kept["mx"])))


@dataclass(frozen=True, slots=True)
class Found:
    """The policy in force, None for none; and what went wrong on the way to it."""

    policy: Policy | None = None
    problem: ResultType | None = None


class Texts(Protocol):
    """Looks up TXT records."""

    async def texts(self, name: str) -> Sequence[str]:
        """Records of a name, empty when there are none; raises Unavailable."""


class Fetches(Protocol):
    """Gets policies."""

    async def fetch(self, domain: str) -> Policy:
        """Raises FetchFailed."""


class Policies:
    """Policies of all domains that mail goes to."""

    def __init__(self, values: Values, dns: Texts, host: Fetches, now_ms: Callable[[], int]) -> None:
        self._values = values
        self._dns = dns
        self._host = host
        self._now_ms = now_ms
        self._failed: TTLCache[str, ResultType] = TTLCache(10_000, PAUSE_SECONDS)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def find(self, domain: str) -> Found:
        """The policy in force. A domain whose record or file cannot be had now keeps the one that was kept."""
        # One fetch at a time for a domain, however many mails wait for it.
        async with self._locks.setdefault(domain, asyncio.Lock()):
            return await self._find(domain)

    async def _find(self, domain: str) -> Found:
        now = self._now_ms()
        text = await self._values.get(KIND, domain)
        kept = parse_kept(text) if text else None
        if kept is not None and not kept.in_force(now):
            kept = None
        announced = await self._announced(domain)
        standing = _wanted(kept)
        if announced is None:
            return Found(standing)
        if kept is not None and kept.id == announced and now < kept.fetched_at + REFRESH_MS:
            return Found(standing)
        if (problem := self._failed.get(domain)) is not None:
            return Found(standing, problem)
        try:
            async with asyncio.timeout(FETCH_TIME):
                policy = await self._host.fetch(domain)
        except (FetchFailed, TimeoutError) as error:
            problem = error.kind if isinstance(error, FetchFailed) else ResultType.POLICY_FETCH
            self._failed[domain] = problem
            log.warning("mta_sts.not_fetched", domain=domain, problem=problem.value)
            return Found(standing, problem)
        fresh = KeptPolicy(announced, now, policy)
        await self._values.put(Value(KIND, domain, fresh.to_text()))
        return Found(_wanted(fresh))

    async def _announced(self, domain: str) -> str | None:
        try:
            return record_id(await self._dns.texts(f"_mta-sts.{domain}"))
        except (NotFound, Unavailable):
            return None


def _wanted(kept: KeptPolicy | None) -> Policy | None:
    return None if kept is None or kept.policy.mode is Mode.NONE else kept.policy
