"""Reports of spam: what is signed, what a change does, and input that is no report."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.canonical import Json, JsonObject, parse_object, stringify
from gateway.dm3.eth import checksum
from gateway.dm3.keys import signing_pair
from gateway.dm3.signing import sign, verify
from gateway.dm3.spam_report import SpamReport, sign_report, verify_report
from gateway.errors import InvalidInput
from gateway.ids import EnsName, EnvelopeId, EthAddress
from tests.unit.dm3.test_sender_rules import json_values

KEY, OTHER = signing_pair(b"\1" * 32), signing_pair(b"\2" * 32)
REPORT = SpamReport(
    service=EnsName("ds.gw.eth"),
    reporter=EnsName("alice.eth"),
    sender=EnsName("mallory.eth"),
    sender_address=EthAddress("0x" + "66" * 20),
    envelope=EnvelopeId(hashlib.sha256(b"spam").hexdigest()),
    reported_at=1_800_000_000_000,
)
FIELDS = tuple(REPORT.to_json())

names = st.from_regex(r"[a-z0-9ü]{1,20}\.eth", fullmatch=True).map(EnsName)
reports = st.builds(
    SpamReport,
    service=names,
    reporter=names,
    sender=names,
    sender_address=st.binary(min_size=20, max_size=20).map(lambda raw: EthAddress("0x" + raw.hex())),
    envelope=st.binary(min_size=32, max_size=32).map(lambda raw: EnvelopeId(raw.hex())),
    reported_at=st.integers(0, 2**53),
)


def test_the_form_that_is_signed() -> None:
    assert stringify(REPORT.to_json()) == (
        f'{{"envelopeId":"{REPORT.envelope}","reportedAt":1800000000000,"reporter":"alice.eth","sender":"mallory.eth",'
        f'"senderAddress":"0x{"66" * 20}","service":"ds.gw.eth"}}'
    )


def test_the_signature_is_ed25519_over_the_canonical_text() -> None:
    signed = sign_report(REPORT, KEY)
    signature = signed["signature"]
    assert isinstance(signature, str)
    assert signature == sign(KEY, stringify(REPORT.to_json()))
    assert verify(KEY.public, stringify(REPORT.to_json()), signature)
    assert sign_report(REPORT, KEY) == signed, "the same at every try"


@given(reports)
def test_a_report_arrives_as_it_was_made(report: SpamReport) -> None:
    received = parse_object(stringify(sign_report(report, KEY)), max_bytes=4096)
    assert verify_report(received, KEY.public)
    assert not verify_report(received, OTHER.public)
    assert SpamReport.from_json(received) == report


@given(st.sampled_from([*FIELDS, "signature", "more"]), json_values)
def test_any_change_breaks_the_signature(field: str, value: Json) -> None:
    signed = sign_report(REPORT, KEY)
    changed: JsonObject = {**signed, field: value}
    if stringify(changed) != stringify(signed):
        assert not verify_report(changed, KEY.public)


@pytest.mark.parametrize("field", [*FIELDS, "signature"])
def test_nothing_may_be_missing(field: str) -> None:
    signed = sign_report(REPORT, KEY)
    del signed[field]
    assert not verify_report(signed, KEY.public)
    if field != "signature":
        with pytest.raises(InvalidInput):
            SpamReport.from_json(signed)


@pytest.mark.parametrize("key", [b"", b"\0" * 31, b"\0" * 32, b"\0" * 33])
def test_a_key_that_is_none_verifies_nothing(key: bytes) -> None:
    assert not verify_report(sign_report(REPORT, KEY), key)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("service", ""),
        ("service", "a b.eth"),
        ("reporter", 5),
        ("reporter", "x" * 256),
        ("sender", None),
        ("sender", "a\n.eth"),
        ("senderAddress", "0x66"),
        ("senderAddress", "mallory.eth"),
        ("senderAddress", checksum(EthAddress("0x" + "ab" * 20)).swapcase().replace("X", "x")),
        ("envelopeId", "0x" + "ab" * 31),
        ("envelopeId", "AB" * 32),
        ("envelopeId", "ab" * 31),
        ("envelopeId", "ab" * 32 + "\n"),
        ("reportedAt", -1),
        ("reportedAt", "1800000000000"),
        ("reportedAt", 2**53 + 1),
        ("reportedAt", True),
    ],
)
def test_what_is_no_report(field: str, value: Json) -> None:
    with pytest.raises(InvalidInput):
        SpamReport.from_json({**REPORT.to_json(), field: value})


@given(st.dictionaries(st.sampled_from([*FIELDS, "signature"]), json_values))
def test_whatever_comes_is_read_or_refused_by_name(value: JsonObject) -> None:
    assert not verify_report(value, KEY.public)
    try:
        report = SpamReport.from_json(value)
    except InvalidInput:
        return
    assert SpamReport.from_json(report.to_json()) == report


def test_the_same_complaint_at_another_time_is_another_report() -> None:
    later = replace(REPORT, reported_at=REPORT.reported_at + 1)
    assert sign_report(later, KEY)["signature"] != sign_report(REPORT, KEY)["signature"]
