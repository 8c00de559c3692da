"""Sends the TLS reports of a day to the domains that ask for them (RFC 8460), once, by one node."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from adapters.email.authentication.dns import Dns, DnsTrouble
from adapters.email.dkim.signing import Signer
from adapters.email.returnpath import DAY_MS
from adapters.email.sender import Transport
from adapters.email.session import Letter
from adapters.email.tls_mail import report_addresses, report_mail
from adapters.email.tls_report import KEPT_DAYS, TlsReport
from gateway.sdk import CanonicalId, InvalidInput, Retry, Value, Values

log = structlog.get_logger(__name__)

KIND: Final = "tls-report-sent"
_SENT: Final = "sent"
_AT_ONCE: Final = 500


@dataclass
class TlsReporter:
    """Goes through yesterday's counts; what is not taken now is tried with the next call, until the day is over."""

    domain: str
    report: TlsReport
    dns: Dns
    transport: Transport
    signer: Signer
    values: Values
    now_ms: Callable[[], int]
    _node: str = field(default_factory=lambda: secrets.token_hex(8))

    async def send_due(self) -> int:
        """Send what is due; how many mails were taken. Raises Unavailable."""
        day = self.now_ms() // DAY_MS - 1
        taken = 0
        for report in await self.report.export(day, self.domain):
            domain = str(report["policies"][0]["policy"]["policy-domain"])
            # Reports to ourselves would be reported on the next day.
            for address in await self._addresses(domain) if domain != self.domain else ():
                taken += await self._send(f"{day:06d} {domain} {address}", report, address)
        return taken

    async def _addresses(self, domain: str) -> tuple[CanonicalId, ...]:
        try:
            return report_addresses((await self.dns.ask(f"_smtp._tls.{domain}", "TXT")).records)
        except DnsTrouble:
            return ()

    async def _send(self, key: str, report: Mapping[str, Any], address: CanonicalId) -> bool:
        # Of several nodes one has it; should it die, the report of this day is lost, as reports may be.
        if await self.values.claim(Value(KIND, key, self._node)) != self._node:
            return False
        try:
            mail = await asyncio.to_thread(lambda: report_mail(report, address, domain=self.domain))
            content = await asyncio.to_thread(self.signer.sign, mail.content)
        except InvalidInput as error:
            log.info("tls_report.not_written", detail=error.detail)
        else:
            result = await self.transport.send(Letter("", address, content))
            log.info("tls_report.sent", result=type(result).__name__)
            if isinstance(result, Retry):
                return False
        await self.values.put(Value(KIND, key, _SENT))
        return True

    async def forget_old(self) -> None:
        """Remove days that nobody asks for any more."""
        oldest = self.now_ms() // DAY_MS - KEPT_DAYS
        while rows := await self.values.find(KIND, limit=_AT_ONCE):
            old = [row for row in rows if int(row.key[:6]) < oldest]
            if not old:
                return
            await self.values.put(*(Value(KIND, row.key, None) for row in old))
