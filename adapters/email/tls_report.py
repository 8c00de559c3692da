"""How TLS to other mail servers went, counted per domain and day: the data of TLS reports (RFC 8460).

`export` gives the reports as the RFC writes them, for whoever wants to see them and for `tls_reporter`.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from adapters.email.mta_sts.policy import Policy
from adapters.email.returnpath import DAY_MS
from adapters.email.tls import ResultType
from gateway.sdk import Value, Values

KIND: Final = "tls-report"
KEPT_DAYS: Final = 14
MAX_ROWS: Final = 20_000
"""Domains that are counted between two writings; more are not."""
_SUCCESS: Final = "success"
_STS: Final = "sts"
_NO_POLICY: Final = "no-policy-found"
_AT_ONCE: Final = 500


@dataclass
class TlsReport:
    """Counts of this node, in memory until they are written down."""

    values: Values
    now_ms: Callable[[], int]
    _node: str = field(default_factory=lambda: secrets.token_hex(4))
    """Each start of each node counts in rows of its own: nobody adds to what another one writes."""
    _counts: dict[tuple[int, str, str], Counter[str]] = field(default_factory=dict)
    _changed: set[tuple[int, str, str]] = field(default_factory=set)

    def succeeded(self, domain: str, policy: Policy | None) -> None:
        """A session with TLS as it should be."""
        self._count(domain, policy, _SUCCESS)

    def failed(self, domain: str, policy: Policy | None, kind: ResultType) -> None:
        """A session without, or a policy that could not be had."""
        self._count(domain, policy, kind.value)

    def _count(self, domain: str, policy: Policy | None, what: str) -> None:
        key = (self.now_ms() // DAY_MS, domain, _NO_POLICY if policy is None else _STS)
        if key in self._counts or len(self._counts) < MAX_ROWS:
            self._counts.setdefault(key, Counter())[what] += 1
            self._changed.add(key)

    async def write(self) -> None:
        """Write down what was counted, and forget other days. Raises Unavailable; nothing is lost by that."""
        changed = sorted(self._changed)
        for start in range(0, len(changed), _AT_ONCE):
            some = changed[start : start + _AT_ONCE]
            await self.values.put(
                *(Value(KIND, self._key(key), json.dumps(self._counts[key], sort_keys=True)) for key in some)
            )
            self._changed.difference_update(some)
        today = self.now_ms() // DAY_MS
        for key in [key for key in self._counts if key[0] < today and key not in self._changed]:
            del self._counts[key]

    def _key(self, key: tuple[int, str, str]) -> str:
        day, domain, policy = key
        return f"{day:06d} {domain} {policy} {self._node}"

    async def forget_old(self) -> None:
        """Remove days that nobody asks for any more."""
        oldest = self.now_ms() // DAY_MS - KEPT_DAYS
        while True:
            rows = await self.values.find(KIND, limit=_AT_ONCE)
            old = [row for row in rows if int(row.key[:6]) < oldest]
            if not old:
                return
            await self.values.put(*(Value(KIND, row.key, None) for row in old))

    async def export(self, day: int, organisation: str) -> Sequence[Mapping[str, Any]]:
        """One report for each domain and a day (days since the epoch), in the form of RFC 8460 section 4.4."""
        found: dict[str, dict[str, Counter[str]]] = {}
        after = ""
        while rows := await self.values.find(KIND, f"{day:06d} ", after=after, limit=_AT_ONCE):
            for row in rows:
                _, domain, policy, _ = row.key.split(" ")
                found.setdefault(domain, {}).setdefault(policy, Counter()).update(json.loads(row.text or "{}"))
            after = rows[-1].key
        return [_report(day, domain, policies, organisation) for domain, policies in found.items()]


def _report(day: int, domain: str, policies: Mapping[str, Counter[str]], organisation: str) -> Mapping[str, Any]:
    begin = datetime.fromtimestamp(day * DAY_MS / 1000, UTC)
    end = begin + timedelta(days=1, seconds=-1)
    return {
        "organization-name": organisation,
        "date-range": {"start-datetime": f"{begin:%Y-%m-%dT%H:%M:%SZ}", "end-datetime": f"{end:%Y-%m-%dT%H:%M:%SZ}"},
        "contact-info": f"postmaster@{organisation}",
        "report-id": f"{begin:%Y-%m-%d}.{domain}@{organisation}",
        "policies": [
            {
                "policy": {"policy-type": policy, "policy-domain": domain},
                "summary": {
                    "total-successful-session-count": counts[_SUCCESS],
                    "total-failure-session-count": counts.total() - counts[_SUCCESS],
                },
                "failure-details": [
                    {"result-type": kind, "failed-session-count": number}
                    for kind, number in sorted(counts.items())
                    if kind != _SUCCESS
                ],
            }
            for policy, counts in sorted(policies.items())
        ],
    }
