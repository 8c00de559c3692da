"""What proves the sender of a mail, and what domains publish about their mail."""

from __future__ import annotations

import asyncio
import io
from ipaddress import ip_address

from aiosmtpd.proxy_protocol import ProxyData, get_proxy

from adapters.email.authentication import dkim_key, dmarc_record, spf_record
from adapters.email.authentication.authenticator import Trust, read_evidence
from adapters.email.authentication.dkim_signature import Algorithm, MalformedSignature, parse_signature
from adapters.email.authentication.reported import MalformedReport, is_forged, parse_report
from adapters.email.authentication.spf_macros import Facts, MalformedMacro, expand
from adapters.email.authentication.trace import traced
from adapters.email.dkim.canonical import Form, body_hash, canonical_field
from adapters.email.dkim.fields import Field, split_fields, split_mail
from adapters.email.mta_sts.policy import parse_policy, record_id
from adapters.email.tls_mail import report_addresses
from tests.fuzz.target import Target, each, never_fails, text_of

NOW = 1_750_000_000
TRUST = Trust(sealers=frozenset({"a.example"}), servers=frozenset({"mx.example"}))
FACTS = Facts(ip_address("192.0.2.1"), "bob", "a.example", "a.example", "helo.example")


def evidence(data: bytes) -> None:
    """Signatures, seals and reports of a mail: read, whatever they are, and hashed alike in one piece or in many."""
    never_fails(lambda mail: read_evidence(mail, "a.example", trust=TRUST, near=True, now=NOW), data)
    head, body = split_mail(data)
    for form in Form:
        assert body_hash(body, form) == body_hash(memoryview(body), form)
        for field in split_fields(head):
            canonical_field(field.raw, form)


def signature(data: bytes) -> None:
    """One DKIM-Signature."""
    parse_signature(Field("dkim-signature", b"DKIM-Signature:" + data))


def key_record(data: bytes) -> None:
    """The key to it, by which nothing that it did not sign is verified."""
    key = dkim_key.choose_key(text_of(data).split("\n"))
    assert not any(key.verifies(b"\1" * 64, b"\2" * 32, algorithm) for algorithm in Algorithm)


def spf(data: bytes) -> None:
    """A record, and the names that its macros make."""
    record = spf_record.choose_record(text_of(data).split("\n"))
    if record is None:
        return
    read = spf_record.parse_record(record)
    for mechanism in read.mechanisms:
        # What a record was read with can be expanded.
        expand(mechanism.domain, FACTS)
    expand(read.redirect or "", FACTS)


def macros(data: bytes) -> None:
    """A name of at most 253 characters, or with no dot to cut it at."""
    name = expand(text_of(data), FACTS)
    assert len(name) <= 253 or "." not in name


def dmarc(data: bytes) -> None:
    """Never fails: what cannot be read is no record."""
    found = never_fails(dmarc_record.choose_record, text_of(data).split("\n"))
    if found is not None:
        for below in (False, True):
            found.policy_for(below=below, exists=False)


def report(data: bytes) -> None:
    """Authentication-Results."""
    parse_report(data)


def trace(data: bytes) -> None:
    """Ours stands on top, and nobody else's pretends to be ours."""
    own = b"Authentication-Results: mx.example; none\r\n"
    written = traced(data, own, "mx.example")
    assert written.startswith(own)
    head, _ = split_mail(written)
    assert sum(is_forged(field, "mx.example") for field in split_fields(head)) <= 1


def sts_policy(data: bytes) -> None:
    """A policy covers no name that it does not list."""
    assert not parse_policy(text_of(data)).covers("not.listed.invalid") or b"invalid" in data


def sts_records(data: bytes) -> None:
    """TXT records of MTA-STS and TLS reports."""
    texts = text_of(data).split("\n")
    never_fails(record_id, texts)
    assert len(never_fails(report_addresses, texts)) <= 2


class _Arrived:
    """What came over a connection that was closed behind it."""

    def __init__(self, data: bytes) -> None:
        self._rest = io.BytesIO(data)

    async def read(self, n: int = -1) -> bytes:
        return self._rest.read(n)

    async def readexactly(self, n: int) -> bytes:
        found = self._rest.read(n)
        if len(found) < n:
            raise asyncio.IncompleteReadError(found, n)
        return found

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        rest = self._rest.read()
        found, there, behind = rest.partition(separator)
        self._rest = io.BytesIO(behind)
        if not there:
            raise asyncio.IncompleteReadError(found, None)
        return found + there


def proxy_header(data: bytes) -> None:
    """The first bytes behind a load balancer, by the library's reader: an address, or an error in words."""
    try:
        get_proxy(_Arrived(data)).send(None)
    except asyncio.IncompleteReadError:
        # Our server's task ends with the connection.
        return
    except StopIteration as ended:
        # Our server takes the address only when it is one of these.
        assert isinstance(ended.value, ProxyData)
        assert isinstance(ended.value.error, str)


_SIGNED = (
    b"v=1; a=rsa-sha256; c=relaxed/simple; d=a.example; s=x; t=1; h=From:To; "
    b"bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n"
    b" b=AAAA"
)
_MAIL = (
    b"DKIM-Signature: "
    + _SIGNED
    + b"\r\nARC-Seal: i=1; a=rsa-sha256; cv=none; d=a.example; s=x; b=AAAA\r\nARC-Message-Signature: i=1; "
    + _SIGNED
    + b"\r\nARC-Authentication-Results: i=1; mx.example; dmarc=pass\r\nAuthentication-Results: mx.example; spf=pass"
    b" smtp.mailfrom=a.example\r\nFrom: bob@a.example\r\nTo: x\r\n y\r\n\r\nHi  there \r\n\r\n"
)
_KEY = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
_SPF = "v=spf1 a mx/24//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 include:_spf.a.example "
"exists:%{ir}.%{l1r-}.%{d2} redirect=b.example -all"

TARGETS = (
    Target(
        "mail-evidence",
        evidence,
        (_MAIL,),
        ("DKIM-Signature:", "ARC-Seal:", "; ", "b=", "bh=", "\r\n ", "l=1", "i=2", "x=1"),
    ),
    Target(
        "dkim-signature",
        signature,
        (_SIGNED,),
        ("; ", "a=ed25519-sha256", "c=simple", "h=", "l=", "q=dns/txt", "x=", "\r\n "),
        (MalformedSignature,),
    ),
    Target(
        "dkim-key",
        key_record,
        each(_KEY, "v=DKIM1; p="),
        ("; ", "k=rsa", "t=s", "h=sha256", "s=email"),
        (dkim_key.UnusableKey,),
    ),
    Target(
        "spf",
        spf,
        each(_SPF),
        ("include:", "exists:", "%{i}", "/24", "//64", "redirect=", "ip6:", "%%", "?"),
        (spf_record.MalformedRecord,),
    ),
    Target(
        "spf-macros", macros, each("%{i}.%{l2r-}.%{d}._spf.%{p}%%%_%-"), ("%{", "}", "r", "%{S99}"), (MalformedMacro,)
    ),
    Target(
        "dmarc",
        dmarc,
        each("v=DMARC1; p=reject; sp=none; np=quarantine; adkim=s; aspf=r; psd=n; t=y"),
        ("; ", "v=DMARC1", "p=", "\n"),
    ),
    Target(
        "authentication-results",
        report,
        each('mx.example 1; spf=pass (x(y)) reason="a\\"b" smtp.mailfrom=a; none'),
        ("(", ")", '"', ";"),
        (MalformedReport,),
    ),
    Target("trace", trace, (_MAIL,), ("Authentication-Results:", " mx.example", "; none", "\r\n", "(", '"')),
    Target(
        "mta-sts-policy",
        sts_policy,
        each("version: STSv1\r\nmode: enforce\r\nmx: *.a.example\r\nmax_age: 86400\r\n"),
        ("mx: ", "mode: ", "\n"),
    ),
    Target(
        "mta-sts-record",
        sts_records,
        each("v=STSv1; id=1;", "v=TLSRPTv1; rua=mailto:a@b.example,https://c"),
        ("v=", "id=", "rua=", "%40", "\n"),
    ),
    Target(
        "proxy-header",
        proxy_header,
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\1" * 12),
        ("PROXY ", "TCP6", "UNKNOWN", "\r\n"),
    ),
)
