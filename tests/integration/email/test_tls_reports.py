"""Yesterday's TLS report goes to the domain that asks for it: once, and signed."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.email.adapter import EmailAdapter
from adapters.email.keys import FILES, make_keys
from adapters.email.tls_reporter import TlsReporter
from gateway.sdk import Delivered
from gateway.sdk.testing import MemoryContext
from tests.integration.email.peers import Mailbox
from tests.integration.email.test_mail_out import ONE_SERVER, delivery, post_office
from tests.unit.email.test_dkim_signing import verify

DAY_MS = 24 * 3600 * 1000
ASKS = {**ONE_SERVER, "_smtp._tls.example.net TXT": ['"v=TLSRPTv1; rua=mailto:tls@example.net"']}


@dataclass(kw_only=True)
class NoonContext(MemoryContext):
    """A gateway whose clock stands."""

    time: int = 20_000 * DAY_MS + DAY_MS // 2

    def now_ms(self) -> int:
        return self.time


@dataclass
class Counted:
    """A mail went out without TLS, and a day has passed."""

    mailbox: Mailbox
    reporter: TlsReporter
    adapter: EmailAdapter
    ctx: NoonContext


@asynccontextmanager
async def a_day_later(folder: Path, records: dict[str, list[str]]) -> AsyncIterator[Counted]:
    make_keys(folder, "dm3")
    mailbox = Mailbox()
    files = [folder / name for name in FILES]
    async with post_office(mailbox, records, context=NoonContext, tls_reports=True, dkim_key_files=files) as opened:
        adapter, ctx, _ = opened
        assert isinstance(ctx, NoonContext)
        assert isinstance(await adapter.deliver(delivery(adapter)), Delivered)
        counts, reporter = adapter._tls_report, adapter._tls_reporter
        assert counts is not None
        assert reporter is not None
        await counts.write()
        assert await reporter.send_due() == 0, "the day is not over"
        mailbox.envelopes.clear()
        ctx.time += DAY_MS
        yield Counted(mailbox, reporter, adapter, ctx)


async def test_the_report_of_a_day(tmp_path: Path) -> None:
    async with a_day_later(tmp_path, ASKS) as it:
        assert [await it.reporter.send_due() for _ in range(3)] == [1, 0, 0]
        (envelope,) = it.mailbox.envelopes
        assert (envelope.mail_from or "<>", envelope.rcpt_tos) == ("<>", ["tls@example.net"])
        content = envelope.original_content or b""
        assert verify(content, make_keys(tmp_path, "dm3")) == ["ed25519-sha256", "rsa-sha256"]
        _, file = it.mailbox.mails[0].iter_parts()
        report = json.loads(gzip.decompress(file.get_content()))
        (policy,) = report["policies"]
        assert policy["summary"] == {"total-successful-session-count": 0, "total-failure-session-count": 1}
        assert policy["failure-details"] == [{"result-type": "starttls-not-supported", "failed-session-count": 1}]
        await it.adapter._tls_report.write()  # type: ignore[union-attr]
        assert await it.adapter.tls_reports(it.ctx.now_ms() // DAY_MS) == [], "the report itself is not counted"


async def test_what_is_not_taken_now_is_tried_again(tmp_path: Path) -> None:
    async with a_day_later(tmp_path, ASKS) as it:
        it.mailbox.answers["RCPT"] = "450 4.2.1 greylisted"
        assert await it.reporter.send_due() == 0
        del it.mailbox.answers["RCPT"]
        assert await it.reporter.send_due() == 1


async def test_another_node_sends_it(tmp_path: Path) -> None:
    async with a_day_later(tmp_path, ASKS) as it:
        other = TlsReporter(**{**it.reporter.__dict__, "_node": "another"})
        assert [await it.reporter.send_due(), await other.send_due()] == [1, 0]
        await other.forget_old()
        assert len([key for key in it.ctx.values.texts if key[0] == "tls-report-sent"]) == 1
        it.ctx.time += 20 * DAY_MS
        await other.forget_old()
        assert [key for key in it.ctx.values.texts if key[0] == "tls-report-sent"] == []


async def test_who_does_not_ask_gets_none(tmp_path: Path) -> None:
    async with a_day_later(tmp_path, dict(ONE_SERVER)) as it:
        assert await it.reporter.send_due() == 0
        assert it.mailbox.envelopes == []
