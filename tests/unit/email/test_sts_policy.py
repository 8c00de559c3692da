"""MTA-STS records and policies: what RFC 8461 says, and everything else that domains write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.mta_sts.policies import KeptPolicy, parse_kept
from adapters.email.mta_sts.policy import MAX_AGE, Mode, Policy, parse_policy, record_id
from gateway.sdk import InvalidInput

EXAMPLE = """version: STSv1
mode: enforce
mx: mail.example.com
mx: *.example.net
mx: backupmx.example.com
max_age: 604800
"""


def test_the_example_of_the_rfc() -> None:
    expected = Policy(Mode.ENFORCE, 604_800, ("mail.example.com", "*.example.net", "backupmx.example.com"))
    assert parse_policy(EXAMPLE) == expected
    assert parse_policy(EXAMPLE.replace("\n", "\r\n")) == expected


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("mail.example.com", True),
        ("MAIL.Example.COM.", True),
        ("mx1.example.net", True),
        ("example.net", False),
        ("a.mx1.example.net", False),
        ("other.example.com", False),
        ("mail.example.com.evil.example", False),
        ("", False),
    ],
)
def test_which_servers_are_named(host: str, covered: bool) -> None:
    assert parse_policy(EXAMPLE).covers(host) is covered


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (EXAMPLE.replace("STSv1", "STSv2"), "version"),
        (EXAMPLE.replace("enforce", "enforced"), "mode"),
        (EXAMPLE.replace("604800", "a week"), "max_age"),
        (EXAMPLE.replace("max_age: 604800\n", ""), "max_age"),
        (EXAMPLE.replace("mail.example.com", "mail example com"), "mail servers"),
        (EXAMPLE.replace("*.example.net", "*.*.example.net"), "mail servers"),
        ("version: STSv1\nmode: enforce\nmax_age: 1\n", "names no mail server"),
        ("version: STSv1\nmode: enforce\nmax_age: 1\n" + "mx: a.example\n" * 1001, "mail servers"),
        ("", "version"),
        ("<html>not found</html>", "version"),
    ],
)
def test_policies_that_are_none(changed: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse_policy(changed)


def test_what_is_unknown_or_doubled_is_left_out() -> None:
    text = f"x-new: 1\nno colon\n{EXAMPLE}mode: none\nmax_age: 5\n"
    assert parse_policy(text) == parse_policy(EXAMPLE)


def test_mode_none_needs_no_servers_and_nothing_lasts_longer_than_a_year() -> None:
    policy = parse_policy("version: STSv1\nmode: none\nmax_age: 9999999999\n")
    assert (policy.mode, policy.max_age, policy.mx) == (Mode.NONE, MAX_AGE, ())


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=1"], "1"),
        (["v=STSv1; x=y; id=1; z=2"], "1"),
        (["v=spf1 -all", "v=STSv1; id=1"], "1"),
        (["v=STSv1; id=1", "v=STSv1; id=2"], None),
        (["v=STSv1"], None),
        (["v=STSv1; id="], None),
        (["v=STSv1; id=a-b"], None),
        (["v=STSv1; id=" + "a" * 33], None),
        (["V=stsv1; id=1"], None),
        ([], None),
    ],
)
def test_records(texts: list[str], found: str | None) -> None:
    assert record_id(texts) == found


@given(st.text(max_size=200))
def test_no_text_breaks_the_readers(text: str) -> None:
    record_id([text, "v=STSv1;" + text])
    for whole in (text, EXAMPLE + text, text + EXAMPLE):
        try:
            parse_policy(whole)
        except InvalidInput:
            continue


def test_a_kept_policy_comes_back() -> None:
    kept = KeptPolicy("1", 1_000, parse_policy(EXAMPLE))
    assert parse_kept(kept.to_text()) == kept
    assert kept.in_force(1_000 + 604_800_000 - 1)
    assert not kept.in_force(1_000 + 604_800_000)
