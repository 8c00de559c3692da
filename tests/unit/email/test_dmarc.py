"""DMARC records, the walk up the tree and where organisations begin; without the DNS."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.authentication.dmarc import MAX_WALK, Walk, steps
from adapters.email.authentication.dmarc_record import MAX_RECORD, DmarcRecord, choose_record
from adapters.email.authentication.results import Policy
from adapters.email.authentication.suffixes import is_public_suffix

REJECT = DmarcRecord(Policy.REJECT)


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("v=DMARC1", DmarcRecord()),
        ("v=DMARC1; p=reject", REJECT),
        ("V = DMARC1 ;\tP=Reject;", REJECT),
        ("v=DMARC1;p=quarantine;sp=none;np=reject", DmarcRecord(Policy.QUARANTINE, Policy.NONE, Policy.REJECT)),
        ("v=DMARC1; p=none; adkim=s; aspf=S", DmarcRecord(strict_dkim=True, strict_spf=True)),
        ("v=DMARC1; p=reject; psd=y; t=y", DmarcRecord(Policy.REJECT, suffix=True, testing=True)),
        ("v=DMARC1; p=reject; psd=n", DmarcRecord(Policy.REJECT, suffix=False)),
        ("v=DMARC1; p=reject; psd=u; adkim=x; t=maybe", REJECT),
        ("v=DMARC1; p=reject; pct=0; rf=afrf; ri=1; unknown; x=y", REJECT),
        ("v=DMARC1; rua=mailto:a@b.example; p=reject", REJECT),
        # A malformed policy is one of "none" where somebody wants reports, and no record otherwise.
        ("v=DMARC1; p=maybe; rua=mailto:a@b.example", DmarcRecord()),
        ("v=DMARC1; p=reject; sp=maybe; rua=mailto:a@b.example", DmarcRecord()),
        ("v=DMARC1; p=maybe", None),
        ("v=DMARC1; p=reject; np=", None),
        ("v=DMARC1; p=reject; p=none", REJECT),
        ("v=dmarc1; p=reject", None),
        ("v=DMARC2; p=reject", None),
        ("p=reject; v=DMARC1", None),
        (" p=reject", None),
        ("", None),
        ("v=DMARC1; p=reject\xe4", None),
        ("v=DMARC1; p=reject;" + " " * MAX_RECORD, None),
    ],
)
def test_records(text: str, record: DmarcRecord | None) -> None:
    assert choose_record([text]) == record


def test_one_record_among_others() -> None:
    assert choose_record(["v=spf1 -all", "v=DMARC1; p=reject", "x"]) == REJECT
    assert choose_record(["v=DMARC1; p=reject", "v=DMARC1; p=none"]) is None
    assert choose_record([]) is None


@pytest.mark.parametrize(
    ("record", "below", "exists", "policy"),
    [
        (REJECT, False, True, Policy.REJECT),
        (REJECT, True, False, Policy.REJECT),
        (DmarcRecord(Policy.NONE, Policy.QUARANTINE, Policy.REJECT), False, True, Policy.NONE),
        (DmarcRecord(Policy.NONE, Policy.QUARANTINE, Policy.REJECT), True, True, Policy.QUARANTINE),
        (DmarcRecord(Policy.NONE, Policy.QUARANTINE, Policy.REJECT), True, False, Policy.REJECT),
        (DmarcRecord(Policy.REJECT, Policy.NONE), True, False, Policy.NONE),
        (DmarcRecord(Policy.REJECT, None, Policy.NONE), True, True, Policy.REJECT),
        (DmarcRecord(Policy.REJECT, testing=True), False, True, Policy.QUARANTINE),
        (DmarcRecord(Policy.QUARANTINE, testing=True), False, True, Policy.NONE),
        (DmarcRecord(Policy.NONE, testing=True), False, True, Policy.NONE),
    ],
)
def test_which_policy_applies(record: DmarcRecord, below: bool, exists: bool, policy: Policy) -> None:
    assert record.policy_for(below=below, exists=exists) is policy


@pytest.mark.parametrize(
    ("domain", "asked"),
    [
        ("com", ("com",)),
        ("mail.example.com", ("mail.example.com", "example.com", "com")),
        (
            "a.b.c.d.e.f.com",
            ("a.b.c.d.e.f.com", "b.c.d.e.f.com", "c.d.e.f.com", "d.e.f.com", "e.f.com", "f.com", "com"),
        ),
        (
            "a.b.c.d.e.f.g.h.i.j.mail.example.com",
            (
                "a.b.c.d.e.f.g.h.i.j.mail.example.com",
                "g.h.i.j.mail.example.com",
                "h.i.j.mail.example.com",
                "i.j.mail.example.com",
                "j.mail.example.com",
                "mail.example.com",
                "example.com",
                "com",
            ),
        ),
    ],
)
def test_the_walk(domain: str, asked: tuple[str, ...]) -> None:
    assert steps(domain) == asked


@given(st.lists(st.sampled_from(["a", "bc", "x1"]), min_size=1, max_size=60))
def test_the_walk_is_short_and_goes_up(labels: list[str]) -> None:
    domain = ".".join(labels)
    asked = steps(domain)
    assert len(asked) <= MAX_WALK
    assert len(set(asked)) == len(asked)
    assert asked[0] == domain
    assert asked[-1] == labels[-1]
    assert all(domain.endswith(each) for each in asked)


SUFFIX = DmarcRecord(Policy.REJECT, suffix=True)
OWN = DmarcRecord(Policy.REJECT, suffix=False)


@pytest.mark.parametrize(
    ("start", "found", "organisation", "applying"),
    [
        # The examples of RFC 9989, section 4.10.2.
        ("a.mail.example.com", [("mail.example.com", REJECT), ("example.com", REJECT)], "example.com", "example.com"),
        ("a.mail.example.com", [("com", SUFFIX)], "example.com", "com"),
        ("example.com", [], "example.com", None),
        ("example.com", [("example.com", REJECT)], "example.com", "example.com"),
        (
            "mail.example.com",
            [("mail.example.com", REJECT), ("example.com", REJECT)],
            "example.com",
            "mail.example.com",
        ),
        ("a.b.example.com", [("b.example.com", OWN)], "b.example.com", "b.example.com"),
        ("bank", [("bank", SUFFIX)], "bank", "bank"),
        ("x.bank", [("x.bank", REJECT), ("bank", SUFFIX)], "x.bank", "x.bank"),
        # The net: a suffix whose owner forgot to say so is one all the same.
        ("victim.github.io", [("github.io", REJECT)], "victim.github.io", "github.io"),
        ("a.b.co.uk", [("b.co.uk", REJECT), ("co.uk", REJECT), ("uk", REJECT)], "b.co.uk", "b.co.uk"),
        ("a.victim.test", [("test", REJECT)], "victim.test", "test"),
        ("a.github.io", [("github.io", OWN)], "github.io", "github.io"),
        ("github.io", [("github.io", REJECT)], "github.io", "github.io"),
    ],
)
def test_organisations(
    start: str, found: list[tuple[str, DmarcRecord]], organisation: str, applying: str | None
) -> None:
    walk = Walk(start, tuple(found))
    assert walk.organisation == organisation
    assert (walk.applying[0] if walk.applying else None) == applying


@pytest.mark.parametrize("domain", ["com", "co.uk", "github.io", "example", "internal", "xn--p1ai"])
def test_suffixes(domain: str) -> None:
    assert is_public_suffix(domain)


@pytest.mark.parametrize(
    "domain", ["example.com", "nopol.example", "exim.example", "x.internal", "a.github.io", "b.co.uk"]
)
def test_names_below_suffixes(domain: str) -> None:
    assert not is_public_suffix(domain)


@given(st.text(max_size=100), st.lists(st.sampled_from(["v=DMARC1", ";", "p=", "reject", " ", "psd=y", "=", "é"])))
def test_no_record_is_trouble(text: str, pieces: list[str]) -> None:
    choose_record([text, "".join(pieces), "v=DMARC1;" + text])
