"""Chains of forwarders: what is one, what is none, and hostile ones; checking them is part of the door's tests."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.authentication.arc import MAX_SETS, Chain, MalformedChain, read_chain
from adapters.email.authentication.authenticator import Trust, read_evidence
from adapters.email.authentication.results import Dkim
from adapters.email.dkim.fields import split_fields, split_mail
from tests.support.signing import ed25519_key, sealed

MAIL = b"From: bob@example.org\r\nTo: alice@gw.example\r\nSubject: x\r\n\r\nhello\r\n"
REPORT = "list.example; dmarc=pass header.from=example.org"
NOW = 1_800_000_000
LISTED = frozenset({"list.example"})


def chain_of(mail: bytes, sealers: frozenset[str] = LISTED) -> Chain | None:
    head, body = split_mail(mail)
    return read_chain(split_fields(head), body, sealers, now=NOW)


def forwarded(times: int = 1, domain: str = "list.example") -> bytes:
    mail = MAIL
    for number in range(1, times + 1):
        mail = sealed(mail, domain, REPORT, number=number, key=ed25519_key())
    return mail


@pytest.mark.parametrize("times", [1, 2, MAX_SETS])
def test_chains(times: int) -> None:
    chain = chain_of(forwarded(times))
    assert chain is not None
    assert [seal.domain for seal in chain.seals] == ["list.example"] * times
    assert len({seal.digest for seal in chain.seals}) == times
    assert chain.body is None


def test_a_body_that_was_changed_behind_the_forwarder() -> None:
    chain = chain_of(forwarded().replace(b"hello", b"hullo"))
    assert chain is not None
    assert chain.body is not None
    assert chain.body[0] is Dkim.FAIL


def test_mail_without_a_chain_or_with_one_of_strangers() -> None:
    assert chain_of(MAIL) is None
    assert chain_of(forwarded(domain="eve.example")) is None
    assert chain_of(sealed(forwarded(), "eve.example", REPORT, number=2, key=ed25519_key())) is None


@pytest.mark.parametrize(
    "mail",
    [
        forwarded(MAX_SETS + 1),
        forwarded().replace(b"ARC-Seal", b"X-Seal"),
        forwarded().replace(b"ARC-Message-Signature", b"X"),
        forwarded().replace(b"ARC-Authentication-Results", b"X"),
        forwarded().replace(b"ARC-Seal: i=1", b"ARC-Seal: i=2"),
        forwarded().replace(b"i=1", b"i=0"),
        forwarded().replace(b"i=1", b"i=2"),
        forwarded().replace(b"ARC-Authentication-Results: i=1;", b"ARC-Authentication-Results:"),
        forwarded().replace(b"cv=none", b"cv=pass"),
        forwarded().replace(b"cv=none", b"cv=fail"),
        forwarded(2).replace(b"cv=pass", b"cv=none"),
        forwarded().replace(b"cv=none", b"cv=none; h=from"),
        forwarded().replace(b"ed25519-sha256; cv", b"rsa-sha1; cv"),
        forwarded().replace(b"h=from:", b"h=from:arc-seal:"),
        b"Subject: added\r\n" + forwarded(),
    ],
)
def test_what_is_no_chain(mail: bytes) -> None:
    with pytest.raises(MalformedChain):
        chain_of(mail)


@pytest.mark.attack(23)
def test_a_signature_that_does_not_hold_for_the_author_makes_no_chain() -> None:
    """RFC 8617, section 4.1.2: as in DKIM, whose signatures hold for From."""
    with pytest.raises(MalformedChain, match="From is not signed"):
        chain_of(sealed(MAIL, "list.example", REPORT, key=ed25519_key(), names="to:subject"))


@pytest.mark.parametrize(("tags", "valid"), [("t=5; x=6; ", False), (f"x={NOW - 1}; ", False), (f"x={NOW}; ", True)])
def test_a_signature_whose_time_is_over_makes_no_chain(tags: str, valid: bool) -> None:
    mail = sealed(MAIL, "list.example", REPORT, key=ed25519_key(), extra=tags)
    if valid:
        assert chain_of(mail) is not None
        return
    with pytest.raises(MalformedChain, match="is over"):
        chain_of(mail)


NAMES = [b"ARC-Seal:", b"ARC-Message-Signature:", b"ARC-Authentication-Results:"]
TAGS = [b" i=1;", b" i=2;", b" a=", b"rsa-sha256", b" cv=none", b" d=list.example", b" s=s1", b" b=AAAA", b" bh=AAAA"]
PIECES = st.sampled_from([*NAMES, *TAGS, b";", b" h=from", b"\r\n", b"\r\n ", b"\xff"])


@given(st.lists(PIECES, max_size=60).map(b"".join) | st.binary(max_size=200))
def test_no_chain_is_trouble(head: bytes) -> None:
    with contextlib.suppress(MalformedChain):
        chain_of(head + b"\r\n" + MAIL)
    with contextlib.suppress(MalformedChain):
        chain_of(head + b"\r\n" + forwarded())
    trust = Trust(frozenset({"mx.example"}), LISTED)
    evidence = read_evidence(head + b"\r\n" + MAIL, "example.org", trust=trust, near=True, now=1)
    assert evidence.chain is None or not evidence.broken


@pytest.mark.parametrize("size", [125_000, 672_000, 1_360_000])
def test_bombs_take_no_more_than_their_size(size: int) -> None:
    bombs = [
        b"ARC-Seal: i=1;" + b"\r\n x" * (size // 4),
        b"ARC-Authentication-Results: i=1;" + b"(" * size,
        b"ARC-Message-Signature:" + b" " * size + b"i=1;",
        b"\r\n".join([b"ARC-Seal: i=1; d=x"] * (size // 20)),
        b"\r\n".join(b"ARC-Seal: i=%d; d=x" % (number % 999) for number in range(size // 22)),
        b"Authentication-Results: mx.example; " + b"a=b " * (size // 4),
    ]
    trust = Trust(frozenset({"mx.example"}), LISTED)
    for bomb in bombs:
        begin = time.process_time()
        read_evidence(bomb + b"\r\n" + MAIL, "example.org", trust=trust, near=True, now=1)
        assert time.process_time() - begin < 5


def test_the_suffix_list_is_loaded_by_the_first_mail_that_needs_it() -> None:
    """It is 4 MB that a gateway without such mail does not hold."""
    code = "import sys, adapters.email.adapter; sys.exit('publicsuffixlist' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
