"""DKIM: vectors of the standards and of another implementation, signatures that must not pass, hostile input."""

from __future__ import annotations

import base64
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.authentication.dkim import MAX_SIGNATURES, Claim, read_claims
from adapters.email.authentication.dkim_key import MAX_RECORD, UnusableKey, choose_key, parse_key
from adapters.email.authentication.dkim_signature import (
    MAX_SIGNATURE,
    Algorithm,
    MalformedSignature,
    is_domain,
    parse_signature,
)
from adapters.email.authentication.results import Dkim
from adapters.email.dkim.canonical import Form
from adapters.email.dkim.fields import Field, split_fields, split_mail
from tests.support.signing import ed25519_key, record, rsa_key, signed

NOW = 1_800_000_000
MAIL = b"From: Bob <bob@example.org>\r\nTo: alice@gw.example\r\nSubject: hello\r\n\r\nHi.\r\n\r\nBob\r\n"
BODY = (
    "From: Joe SixPack <joe@football.example.com>\n"
    "To: Suzie Q <suzie@shopping.example.net>\n"
    "Subject: Is dinner ready?\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\n"
    "\n"
    "Hi.\n"
    "\n"
    "We lost the game.  Are you hungry yet?\n"
    "\n"
    "Joe.\n"
)
RFC8463 = (
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\n"
    " d=football.example.com; i=@football.example.com;\n"
    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\n"
    " subject : date : message-id : from : subject : date;\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
    " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\n"
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\n"
    " d=football.example.com; i=@football.example.com;\n"
    " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\n"
    " date : message-id : from : subject : date;\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
    " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\n"
    " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\n"
    " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\n"
)
"""The example of RFC 8463, appendix A.3."""
KEYS = {
    "brisbane": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test": (
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi"
        "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2"
        "kryOTIKT+l/K4w3QIDAQAB"
    ),
}


def claims_of(mail: bytes, near: str = "example.org", now: int = NOW) -> tuple[Claim, ...]:
    head, body = split_mail(mail)
    return read_claims(split_fields(head), body, near=near, now=now)


def holds(claim: Claim, key_record: str) -> bool:
    """True when a claim passes by this key."""
    if claim.signature is None:
        return False
    key = parse_key(key_record)
    return key.verifies(claim.signature.signature, claim.digest, claim.signature.algorithm)


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def test_the_example_of_rfc_8463() -> None:
    first, second = claims_of(crlf(RFC8463 + BODY), near="football.example.com")
    for claim in (first, second):
        assert claim.signature is not None
        assert claim.signature.domain == "football.example.com"
        assert holds(claim, KEYS[claim.signature.selector])
    assert not holds(first, KEYS["test"])
    assert not holds(second, KEYS["brisbane"])


@pytest.mark.parametrize("change", [("dinner", "supper"), ("hungry", "Hungry"), ("joe@", "jim@")])
def test_the_example_changed(change: tuple[str, str]) -> None:
    for claim in claims_of(crlf((RFC8463 + BODY).replace(*change)), near="football.example.com"):
        assert claim.verdict is not None or not holds(claim, KEYS[claim.signature.selector if claim.signature else ""])


@pytest.mark.parametrize("header", Form)
@pytest.mark.parametrize("body", Form)
@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_each_form_and_algorithm(header: Form, body: Form, kind: str) -> None:
    key = rsa_key() if kind == "rsa" else ed25519_key()
    (claim,) = claims_of(signed(MAIL, "example.org", key, forms=(header, body)))
    assert holds(claim, record(key))


def test_relaxed_forms_bear_what_servers_do() -> None:
    mail = signed(MAIL, "example.org")
    changed = mail.replace(b"Subject: hello", b"SUBJECT:\r\n   hello ").replace(b"Hi.", b"Hi. \t ") + b"\r\n\r\n"
    (claim,) = claims_of(changed)
    assert holds(claim, record(rsa_key()))
    (strict,) = claims_of(changed.replace(b"c=relaxed/relaxed", b"c=simple/simple"))
    assert strict.verdict is not None


@pytest.mark.parametrize("added", [b"From: eve@example.com", b"SUBJECT : added", b"Subject: x\r\nno field at all"])
def test_a_second_field_beside_the_signed_one(added: bytes) -> None:
    """Signatures are for the lowest of several fields and readers take the first: that one is nobody's."""
    for names in ("from:subject", "from:to:subject:from"):
        (claim,) = claims_of(added + b"\r\n" + signed(MAIL, "example.org", names=names))
        assert not holds(claim, record(rsa_key()))
        assert claim.verdict is None or claim.verdict.outcome is Dkim.POLICY


@pytest.mark.parametrize("added", [b"Received: by x", b"X-Spam: no", b"To: a@b.example", b"List-Id: x"])
def test_what_servers_add_does_no_harm(added: bytes) -> None:
    mail = added + b"\r\n" + signed(MAIL, "example.org", names="from:subject")
    assert holds(claims_of(mail)[0], record(rsa_key()))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((b"v=1;", b"v=2;"), "version"),
        ((b"v=1; ", b""), "version"),
        ((b"a=rsa-sha256", b"a=rsa-sha1"), "algorithm"),
        ((b"a=rsa-sha256", b"a=none"), "algorithm"),
        ((b"h=from:to:subject:from", b"h=to:subject"), "From"),
        ((b"d=example.org;", b"d=example.org; d=example.org;"), "list of tags"),
        ((b"d=example.org", b"d=-"), "domain"),
        ((b"d=example.org", b"d=ex\xc3\xa4mple.org"), "list of tags"),
        ((b"s=s1", b"s=a..b"), "domain or selector"),
        ((b"c=relaxed/relaxed", b"c=nowsp"), "canonical form"),
        ((b"d=example.org", b"d=example.org; i=@example.com"), "agent"),
        ((b"d=example.org", b"d=example.org; i=@xexample.org"), "agent"),
        ((b"d=example.org", b"d=example.org; q=http"), "way to ask"),
        ((b"d=example.org", b"d=example.org; l=-1"), "l= is no number"),
        ((b"d=example.org", b"d=example.org; t=20; x=10"), "expires before"),
        ((b"bh=", b"bh=*"), "base64"),
        ((b"DKIM-Signature: v", b"DKIM-Signature: =; v"), "list of tags"),
    ],
)
def test_signatures_that_are_not_read(change: tuple[bytes, bytes], reason: str) -> None:
    (claim,) = claims_of(signed(MAIL, "example.org").replace(*change))
    assert claim.verdict is not None
    assert claim.verdict.outcome is Dkim.PERMERROR
    assert reason in claim.verdict.reason


def test_a_signature_that_is_over_is_not_enough() -> None:
    mail = signed(MAIL, "example.org", extra="x=1700000000; ")
    (over,), (valid,) = claims_of(mail), claims_of(mail, now=1_700_000_000)
    assert over.verdict is not None
    assert over.verdict.outcome is Dkim.POLICY
    assert holds(valid, record(rsa_key()))


@pytest.mark.parametrize(("length", "whole"), [(12, True), (5, False), (0, False), (13, False)])
def test_a_part_of_the_body_is_not_enough(length: int, whole: bool) -> None:
    (claim,) = claims_of(signed(MAIL, "example.org", extra=f"l={length}; "))
    assert holds(claim, record(rsa_key())) is whole
    assert whole or (claim.verdict is not None and claim.verdict.outcome is Dkim.POLICY)


def test_signatures_near_the_author_come_first() -> None:
    mail = signed(MAIL, "mail.example.org")
    for number in range(MAX_SIGNATURES + 5):
        mail = signed(mail, f"d{number}.example", ed25519_key())
    claims = claims_of(mail)
    assert len(claims) == MAX_SIGNATURES
    assert claims[0].signature is not None
    assert claims[0].signature.domain == "mail.example.org"
    assert holds(claims[0], record(rsa_key()))


def test_an_agent_of_a_subdomain() -> None:
    (claim,) = claims_of(signed(MAIL, "example.org", extra="i=bob@mail.example.org; "))
    assert claim.signature is not None
    assert (claim.signature.domain, claim.signature.agent_domain) == ("example.org", "mail.example.org")


# --- keys -------------------------------------------------------------------------------------------------------


def plain_rsa(bits: int = 2048) -> str:
    octets = rsa_key(bits).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return base64.b64encode(octets).decode()


@pytest.mark.parametrize(
    "text",
    [
        record(rsa_key()),
        record(ed25519_key()),
        record(rsa_key()).removeprefix("v=DKIM1; k=rsa; "),
        record(rsa_key()).replace("p=", "p= \t"),
        record(rsa_key()) + ";",
        record(rsa_key()) + "; t=y:s; h=sha1:sha256; s=email:other; n=a note; unknown=x",
        f"v=DKIM1; p={plain_rsa()}",
        record(rsa_key(1024)),
    ],
)
def test_keys(text: str) -> None:
    assert parse_key(text).exact_domain is ("t=y:s" in text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no key"),
        ("v=DKIM1; p=", "revoked"),
        ("v=DKIM2; p=x", "version"),
        ("p=x; v=DKIM1", "version"),
        ("v=DKIM1; k=rsa; p=AAAA", "malformed"),
        ("v=DKIM1; k=ed25519; p=AAAA", "malformed"),
        ("v=DKIM1; k=dsa; p=AAAA", "kind"),
        ("v=DKIM1; p=*", "malformed"),
        ("v=DKIM1; v=DKIM1; p=AAAA", "malformed"),
        (record(rsa_key()) + "; s=tlsrpt", "not for mail"),
        (record(rsa_key()) + "; h=sha1", "SHA-256"),
        ("v=DKIM1; p=" + "A" * MAX_RECORD, "too long"),
        ("v=spf1 -all", "version"),
        (record(ed25519_key()).replace("ed25519", "rsa"), "malformed"),
    ],
)
def test_keys_that_are_not_used(text: str, reason: str) -> None:
    with pytest.raises(UnusableKey, match=reason):
        parse_key(text)


@pytest.mark.parametrize("bits", [512, 768])
def test_short_rsa_keys_prove_nothing(bits: int) -> None:
    # The library makes no such keys any more; modulus and exponent in DER are few enough octets by hand.
    modulus = (1 << (bits - 1)) + 1
    number = b"\x02" + bytes([bits // 8 + 1]) + b"\0" + modulus.to_bytes(bits // 8) + b"\x02\x03\x01\x00\x01"
    octets = b"\x30" + (bytes([len(number)]) if len(number) < 128 else bytes([0x81, len(number)])) + number
    with pytest.raises(UnusableKey):
        parse_key(f"v=DKIM1; p={base64.b64encode(octets).decode()}")


def test_one_key_among_the_records() -> None:
    text = record(rsa_key())
    assert choose_key(["v=spf1 -all", text]).exact_domain is False
    with pytest.raises(UnusableKey, match="more than one"):
        choose_key([text, text])
    with pytest.raises(UnusableKey, match="no key"):
        choose_key([])


def test_a_key_verifies_by_its_own_algorithm_only() -> None:
    assert not parse_key(record(rsa_key())).verifies(b"x", b"y" * 32, Algorithm.RSA_SHA256)
    assert not parse_key(record(rsa_key())).verifies(b"x", b"y" * 32, Algorithm.ED25519_SHA256)
    assert not parse_key(record(ed25519_key())).verifies(b"x" * 64, b"y" * 32, Algorithm.RSA_SHA256)


# --- hostile input ----------------------------------------------------------------------------------------------

TAGS = st.sampled_from([*"vabhcdilqstxz=;: \t\r\n01@.*/+-", "rsa-sha256", "example.org", "from", "\xff", "v=1;"])


@given(st.lists(TAGS, max_size=80))
def test_no_field_is_trouble(pieces: list[str]) -> None:
    source = Field("dkim-signature", b"DKIM-Signature: " + "".join(pieces).encode("latin-1"))
    try:
        signature = parse_signature(source)
    except MalformedSignature:
        return
    assert is_domain(signature.domain)


@given(st.text(max_size=300) | st.lists(TAGS, max_size=60).map("".join))
def test_no_key_is_trouble(text: str) -> None:
    for each in (text, f"v=DKIM1; p={text}", f"k=ed25519; p={text}"):
        try:
            parse_key(each)
        except UnusableKey:
            continue


@given(st.binary(max_size=400))
def test_no_mail_is_trouble(data: bytes) -> None:
    claims_of(data)
    claims_of(b"DKIM-Signature: " + data)
    claims_of(signed(MAIL, "example.org", ed25519_key()) + data)


@pytest.mark.parametrize(
    ("domain", "good"),
    [
        ("example.org", True),
        ("a", True),
        ("_domainkey.x-y.example", True),
        ("1.2", True),
        ("a" * 63 + ".org", True),
        ("a" * 64 + ".org", False),
        (".".join(["a" * 60] * 5), False),
        ("", False),
        ("a..b", False),
        (".a", False),
        ("a.", False),
        ("-a", False),
        ("a-", False),
        ("a-.b", False),
        ("a b", False),
        ("a\n", False),
        ("bücher.example", False),
    ],
)
def test_domains(domain: str, good: bool) -> None:
    assert is_domain(domain) is good


@pytest.mark.parametrize("size", [125_000, 672_000, 1_360_000])
def test_bombs_in_the_header_take_no_more_than_their_size(size: int) -> None:
    """The door takes 64 KiB of header at most; what stands behind it must not need that to be quick."""
    bombs = [
        b"DKIM-Signature: v=1;" + b"\r\n x" * (size // 4),
        b"DKIM-Signature: " + b"a=b;" * (size // 4),
        b"DKIM-Signature: v=1; h=" + b"from:" * (size // 5),
        b"\r\n".join([b"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; h=from; bh=x; b=x"] * (size // 70)),
        b"X: y" + b"\r\n z" * (size // 4),
        b"\r\n".join([b"From: a"] * (size // 9)),
    ]
    for bomb in bombs:
        begin = time.process_time()
        claims_of(bomb + b"\r\n" + signed(MAIL, "example.org"))
        assert time.process_time() - begin < 5
    assert size > MAX_SIGNATURE


def test_a_large_mail_is_hashed_once() -> None:
    mail = MAIL + b"abcdefgh" * 9 + b"\r\n"
    mail += (b"abcdefgh" * 9 + b"\r\n") * 190_000
    for number in range(MAX_SIGNATURES):
        mail = signed(mail, f"d{number}.example", ed25519_key())
    begin = time.process_time()
    claims = claims_of(mail)
    taken = time.process_time() - begin
    assert all(holds(claim, record(ed25519_key())) for claim in claims)
    assert taken < 5
