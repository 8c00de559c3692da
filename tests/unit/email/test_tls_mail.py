"""TLS reports as mail, and who gets them."""

from __future__ import annotations

import gzip
import json
from email import message_from_bytes, policy
from typing import Any

import pytest

from adapters.email.tls_mail import report_addresses, report_mail
from adapters.email.tls_report import TlsReport
from gateway.sdk import CanonicalId
from gateway.sdk.testing.context import MemoryValues

DAY_MS = 24 * 3600 * 1000


@pytest.mark.parametrize(
    ("texts", "addresses"),
    [
        (["v=TLSRPTv1; rua=mailto:tls@example.net"], ["tls@example.net"]),
        (["v=TLSRPTv1;rua=mailto:tls@example.net"], ["tls@example.net"]),
        (["v=TLSRPTv1; rua=https://example.net/tls, MAILTO:Tls@Example.net"], ["tls@example.net"]),
        (["v=TLSRPTv1; rua=mailto:a@x.example,mailto:b@x.example,mailto:c@x.example"], ["a@x.example", "b@x.example"]),
        (["v=TLSRPTv1; rua=mailto:a%2Bb@x.example?subject=x"], ["a+b@x.example"]),
        (["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@x.example"], ["a@x.example"]),
        (["v=TLSRPTv1; rua=mailto:a@x.example", "v=TLSRPTv1; rua=mailto:b@x.example"], []),
        (["v=TLSRPTv1; rua=https://example.net/tls"], []),
        (["v=TLSRPTv1; rua=mailto:a@x.example%0d%0aBcc:b@x.example"], []),
        (["v=TLSRPTv1; rua=mailto:a b@x.example"], []),
        (["v=TLSRPTv1; ruf=mailto:a@x.example"], []),
        (["v=TLSRPTv1; rua=x; rua=y"], []),
        (["v=TLSRPTv10; rua=mailto:a@x.example"], []),
        ([], []),
    ],
)
def test_where_reports_go(texts: list[str], addresses: list[str]) -> None:
    assert list(report_addresses(texts)) == addresses


async def test_what_goes_out() -> None:
    counts = TlsReport(MemoryValues(), lambda: 20_000 * DAY_MS)
    counts.succeeded("example.net", None)
    await counts.write()
    report: dict[str, Any] = dict((await counts.export(20_000, "gw.example"))[0])
    first, second = (report_mail(report, CanonicalId("tls@example.net"), domain="gw.example") for _ in range(2))
    assert first == second
    mail = message_from_bytes(first.content, policy=policy.default)
    assert mail["Subject"] == (
        "Report Domain: example.net Submitter: gw.example Report-ID: <2024-10-04.example.net@gw.example>"
    )
    assert (mail["TLS-Report-Domain"], mail["TLS-Report-Submitter"]) == ("example.net", "gw.example")
    assert mail["Content-Type"].params["report-type"] == "tlsrpt"
    assert (mail.get_content_type(), mail["Auto-Submitted"]) == ("multipart/report", "auto-generated")
    text, file = mail.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert file.get_content_type() == "application/tlsrpt+gzip"
    assert file.get_filename() == "gw.example!example.net!1728000000!1728086399!001.json.gz"
    assert json.loads(gzip.decompress(file.get_content())) == report
