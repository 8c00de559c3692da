"""Counts of TLS sessions, as RFC 8460 reports have them."""

from __future__ import annotations

from adapters.email.mta_sts.policy import Mode, Policy
from adapters.email.tls import ResultType
from adapters.email.tls_report import KEPT_DAYS, TlsReport
from gateway.sdk.testing.context import MemoryValues

DAY = 24 * 3600 * 1000
STS = Policy(Mode.ENFORCE, 86_400, ("mx.example.net",))


async def test_a_day_of_two_nodes() -> None:
    values, now = MemoryValues(), 20_000 * DAY + 5
    nodes = [TlsReport(values, lambda: now) for _ in range(2)]
    for node in nodes:
        node.succeeded("example.net", STS)
        node.succeeded("example.net", STS)
        node.failed("example.net", STS, ResultType.EXPIRED)
        node.failed("example.net", None, ResultType.NOT_OFFERED)
        node.succeeded("example.org", None)
        await node.write()
        await node.write()
    net, org = await nodes[0].export(20_000, "gw.example")
    assert net["organization-name"] == "gw.example"
    assert net["date-range"] == {"start-datetime": "2024-10-04T00:00:00Z", "end-datetime": "2024-10-04T23:59:59Z"}
    nothing, sts = net["policies"]
    assert nothing["policy"] == {"policy-type": "no-policy-found", "policy-domain": "example.net"}
    assert nothing["failure-details"] == [{"result-type": "starttls-not-supported", "failed-session-count": 2}]
    assert sts["summary"] == {"total-successful-session-count": 4, "total-failure-session-count": 2}
    assert sts["failure-details"] == [{"result-type": "certificate-expired", "failed-session-count": 2}]
    assert org["policies"][0]["summary"]["total-successful-session-count"] == 2
    assert await nodes[0].export(20_001, "gw.example") == []


async def test_counts_go_on_after_they_were_written() -> None:
    values = MemoryValues()
    report = TlsReport(values, lambda: 20_000 * DAY)
    for _ in range(3):
        report.succeeded("example.net", None)
        await report.write()
    (only,) = await report.export(20_000, "gw.example")
    assert only["policies"][0]["summary"]["total-successful-session-count"] == 3


async def test_days_end() -> None:
    values, now = MemoryValues(), 20_000 * DAY
    report = TlsReport(values, lambda: now)
    report.succeeded("example.net", None)
    now += DAY
    report.succeeded("example.net", None)
    await report.write()
    assert len(values.texts) == 2
    assert len(report._counts) == 1
    now += KEPT_DAYS * DAY
    await report.forget_old()
    assert [key for _, key in values.texts] == [key for _, key in values.texts if key.startswith("020001")]
