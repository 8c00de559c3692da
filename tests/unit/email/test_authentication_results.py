"""Authentication-Results fields: reading those of others, writing ours, and taking forged ones out."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.authentication.reported import (
    MAX_FIELD,
    MalformedReport,
    Report,
    Reported,
    is_forged,
    parse_report,
    reports_of,
)
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
from adapters.email.authentication.trace import login_field, results_field, traced, words
from adapters.email.dkim.fields import split_fields

RESULTS = Results(
    SpfResult(Spf.PASS, "example.org"),
    (DkimResult(Dkim.PASS, "example.org", "s1"), DkimResult(Dkim.FAIL, "list.example", "x", "body was changed")),
    DmarcResult(Dmarc.PASS, "example.org", Policy.REJECT, aligned=True),
    ArcResult(Arc.PASS, "list.example"),
)
FIELD = (
    b"Authentication-Results: mx.gw.example;\r\n"
    b" spf=pass smtp.mailfrom=example.org;\r\n"
    b" dkim=pass header.d=example.org header.s=s1;\r\n"
    b' dkim=fail reason="body was changed" header.d=list.example header.s=x;\r\n'
    b" dmarc=pass (p=reject) header.from=example.org;\r\n"
    b" arc=pass header.d=list.example\r\n"
)


def test_what_we_write() -> None:
    assert results_field(RESULTS, "mx.gw.example") == FIELD
    nothing = Results(SpfResult(Spf.NONE, "", helo=True), (), DmarcResult(Dmarc.NONE, "example.org"))
    assert results_field(nothing, "gw.example") == (
        b"Authentication-Results: gw.example;\r\n spf=none;\r\n dkim=none;\r\n dmarc=none header.from=example.org\r\n"
    )
    assert login_field("gw.example") == b"Authentication-Results: gw.example; auth=pass\r\n"


@given(st.text(max_size=80), st.text(max_size=80))
def test_nothing_of_a_stranger_breaks_the_field(domain: str, selector: str) -> None:
    results = Results(
        SpfResult(Spf.FAIL, domain), (DkimResult(Dkim.PASS, domain, selector),), DmarcResult(Dmarc.FAIL, domain)
    )
    field = results_field(results, "gw.example")
    assert field.isascii()
    assert len(split_fields(field.removesuffix(b"\r\n"))) == 1
    assert [each.method for each in parse_report(field.partition(b":")[2]).results] == ["spf", "dkim", "dmarc"]


def test_what_we_write_can_be_read() -> None:
    report = parse_report(FIELD.partition(b":")[2])
    assert report.server == "mx.gw.example"
    assert report.results[2] == Reported(
        "dkim", "fail", {"reason": "body was changed", "header.d": "list.example", "header.s": "x"}
    )
    assert report.results[3] == Reported("dmarc", "pass", {"header.from": "example.org"})


@pytest.mark.parametrize(
    ("value", "report"),
    [
        # RFC 8601, appendix B.
        (" example.org 1; none", Report("example.org", ())),
        (
            " example.com;\r\n          spf=pass smtp.mailfrom=example.net",
            Report("example.com", (Reported("spf", "pass", {"smtp.mailfrom": "example.net"}),)),
        ),
        (
            # Blanks around the slash and the dot: nobody writes that, so such a result is left out.
            " foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail",
            Report("foo.example.net", ()),
        ),
        (
            ' Mail.Example; dkim=PASS header.d="Example.ORG"; dmarc=pass (p=none; x) header.from = example.org',
            Report(
                "mail.example",
                (
                    Reported("dkim", "pass", {"header.d": "example.org"}),
                    Reported("dmarc", "pass", {"header.from": "example.org"}),
                ),
            ),
        ),
        (' "quoted;id"; spf=pass', Report("quoted;id", (Reported("spf", "pass", {}),))),
        (" x; =; spf; spf=; =pass; ;;", Report("x", ())),
        (" x; dkim/1=pass", Report("x", (Reported("dkim", "pass", {}),))),
    ],
)
def test_what_others_write(value: str, report: Report) -> None:
    found = parse_report(value.encode())
    assert found.server == report.server
    assert [(each.method, each.outcome) for each in found.results] == [
        (each.method, each.outcome) for each in report.results
    ]
    for got, wanted in zip(found.results, report.results, strict=True):
        assert wanted.properties.items() <= got.properties.items()


@pytest.mark.parametrize("value", ["", " ", ";", "; spf=pass", "(x", 'x; "y', "(x\\", "(a)(b)", "x" * (MAX_FIELD + 1)])
def test_what_is_no_report(value: str) -> None:
    with pytest.raises(MalformedReport):
        parse_report(value.encode())


def test_a_comment_is_no_result() -> None:
    report = parse_report(b" x; dmarc=fail (dmarc=pass; dmarc=pass header.from=a) header.from=b")
    assert report.results == (Reported("dmarc", "fail", {"header.from": "b"}),)


def test_reports_of_servers_in_front() -> None:
    fields = split_fields(
        b"Authentication-Results: mx.example.org; spf=pass\r\n"
        b"Authentication-Results: other.example; spf=fail\r\n"
        b"Authentication-Results: (\r\n"
        b"X: y\r\n"
        b"AUTHENTICATION-RESULTS: MX.example.org (x); dkim=none"
    )
    found = reports_of(fields, frozenset({"mx.example.org"}))
    assert [each.results[0].method for each in found] == ["spf", "dkim"]
    assert reports_of(fields, frozenset()) == ()


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (b"Authentication-Results: gw.example; dmarc=pass", False),
        (b"authentication-results : (c) GW.Example 1;\r\n dmarc=pass", False),
        (b'Authentication-Results: "gw.example"; dmarc=pass', False),
        (b"Authentication-Results: (never ends", False),
        (b"Authentication-Results: other.example; dmarc=pass", True),
        (b"X-Authentication-Results: gw.example; dmarc=pass", True),
        (b"Subject: Authentication-Results: gw.example; dmarc=pass", True),
        (b"\xff\xfe no field at all", True),
    ],
)
def test_forged_fields_go(line: bytes, kept: bool) -> None:
    mail = b"A: 1\r\n" + line + b"\r\nB: 2\r\n\r\nbody\r\nAuthentication-Results: gw.example; spf=pass\r\n"
    wanted = mail if kept else mail.replace(line + b"\r\n", b"", 1)
    assert traced(mail, b"T: x\r\n", "gw.example") == b"T: x\r\n" + wanted


@pytest.mark.parametrize(
    "mail",
    [
        b"",
        b"A: b",
        b"A: b\r\n",
        b"\r\nbody",
        b"A: b\r\n\r\nbody",
        b"Authentication-Results: o.example; spf=pass\r\n\r\nbody",
        b"Authentication-Results: o.example; spf=pass",
    ],
)
def test_everything_else_stays_as_it_is(mail: bytes) -> None:
    assert traced(mail, b"T: x\r\n", "gw.example").removesuffix(b"\r\n") == (b"T: x\r\n" + mail).removesuffix(b"\r\n")


def test_a_forged_field_alone() -> None:
    forged = b"Authentication-Results: gw.example; spf=pass"
    assert traced(forged + b"\r\n\r\nbody", b"T: x\r\n", "gw.example") == b"T: x\r\n\r\nbody"


def test_the_log_names_nobody() -> None:
    assert words(RESULTS) == {"spf": "pass", "dkim": "fail,pass", "dmarc": "pass", "arc": "pass"}
    failed = Results(SpfResult(Spf.NONE, "a.example"), (), DmarcResult(Dmarc.FAIL, "b.example", Policy.QUARANTINE))
    assert words(failed) == {"spf": "none", "dkim": "none", "dmarc": "fail", "policy": "quarantine"}


@given(st.binary(max_size=300))
def test_no_field_is_trouble(data: bytes) -> None:
    for each in split_fields(b"Authentication-Results: " + data):
        is_forged(each, "gw.example")
    traced(b"Authentication-Results: " + data, b"T: x\r\n", "gw.example")


@pytest.mark.parametrize("piece", [b"(", b")", b'"', b"\\", b";", b" ", b"=", b"a=b ", b"a = ", b"(x) "])
def test_bombs_take_no_more_than_their_size(piece: bytes) -> None:
    begin = time.process_time()
    mail = b"Authentication-Results: x; " + piece * (MAX_FIELD // len(piece) - 50)
    traced(b"\r\n".join([mail] * 20), b"T: x\r\n", "gw.example")
    traced(b"Authentication-Results: x; " + piece * (1_400_000 // len(piece)), b"T: x\r\n", "gw.example")
    assert time.process_time() - begin < 5
