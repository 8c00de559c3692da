"""What the recipient is told of each row of the table in `decision`."""

from __future__ import annotations

import pytest

from adapters.email.authentication.assured import assured
from adapters.email.authentication.decision import Assurance
from adapters.email.authentication.results import (
    Arc,
    ArcResult,
    Dkim,
    DkimResult,
    Dmarc,
    DmarcResult,
    Policy,
    Results,
    Spf,
    SpfResult,
)
from gateway.sdk import Confidence


def results(outcome: Dmarc, *by: str, sealer: str = "", domain: str = "example.org") -> Results:
    arc = ArcResult(Arc.PASS, sealer, vouches=True) if sealer else ArcResult(Arc.NONE)
    dkim = (DkimResult(Dkim.PASS, domain),) if "dkim" in by else ()
    spf = SpfResult(Spf.PASS if "spf" in by else Spf.NONE, domain)
    return Results(spf, dkim, DmarcResult(outcome, domain, Policy.REJECT, bool(by), by), arc)


@pytest.mark.parametrize(
    ("why", "found", "confidence", "by", "domain", "words"),
    [
        (Assurance.LOGIN, None, "proved", ("login",), "gw.example", ""),
        (Assurance.LISTED, None, "proved", ("list",), "gw.example", ""),
        (Assurance.DMARC, results(Dmarc.PASS, "dkim", "spf"), "proved", ("dkim", "spf"), "example.org", ""),
        (Assurance.DMARC, results(Dmarc.PASS, "dkim"), "proved", ("dkim",), "example.org", ""),
        (Assurance.DMARC, results(Dmarc.PASS, "server"), "proved", ("server",), "example.org", ""),
        (Assurance.DMARC, results(Dmarc.PASS, "spf"), "weak", ("spf",), "example.org", "no valid signature (DKIM)"),
        (Assurance.ALIGNED, results(Dmarc.NONE, "dkim"), "weak", ("dkim",), "example.org", "no DMARC record"),
        (Assurance.ALIGNED, results(Dmarc.NONE, "spf"), "weak", ("spf",), "example.org", "(SPF) is of example.org"),
        (
            Assurance.FORWARDED,
            results(Dmarc.FAIL, sealer="list.example"),
            "weak",
            ("arc",),
            "list.example",
            "came through list.example, which says that it is from example.org.",
        ),
        (Assurance.NONE, results(Dmarc.FAIL), "none", (), "", ""),
        (Assurance.NONE, None, "none", (), "", ""),
    ],
)
def test_each_row(
    why: Assurance, found: Results | None, confidence: str, by: tuple[str, ...], domain: str, words: str
) -> None:
    told = assured(why, "gw.example", found)
    assert (told.confidence, told.by, told.domain) == (Confidence(confidence), by, domain)
    assert words in told.reason
    assert bool(told.reason) == (told.confidence is Confidence.WEAK), "who is proved is not talked about"
    if found is not None:
        assert told.checks["dmarc"] == found.dmarc.outcome


def test_a_domain_says_no_more_than_a_domain() -> None:
    found = results(Dmarc.NONE, "spf", domain="example.org is your bank. x")
    told = assured(Assurance.ALIGNED, "gw.example", found)
    assert told.domain == ""
    assert "bank" not in told.reason
