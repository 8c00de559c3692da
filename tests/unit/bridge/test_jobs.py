"""Jobs survive the queue unchanged, and each conversation has its own lane."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bridge.jobs import (
    DM3_LANES,
    JobKind,
    OutboundJob,
    ReportJob,
    SealedOnce,
    Wrapped,
    conversation,
    decode_outbound,
    decode_report,
    encode_outbound,
    encode_report,
    outbound_job,
    report_job,
)
from gateway.dm3.assurance import Confidence, SenderAssurance
from gateway.dm3.message import Attachment, MessageType
from gateway.errors import InvalidInput
from gateway.ids import CanonicalId, EnsName, MessageHash, NativeId, Network
from gateway.sdk import DeliveryState, StatusReport
from gateway.store.jobs import destination_of

EMAIL = Network("email")
WORK = OutboundJob(
    network=EMAIL,
    sender=EnsName("bob.example.org.email.gw.eth"),
    recipient=EnsName("native.eth"),
    type=MessageType.REPLY,
    text="Grüße 👋",
    attachments=(Attachment("data:text/plain;base64,aGk=", "a.txt"), Attachment("https://example.org/x")),
    sent_at=1_727_000_000_123,
    native_id=NativeId("<a@b>"),
    native_reference=NativeId("<0@b>"),
    reference=MessageHash("0x" + "ab" * 32),
    instruction="room:!a:b",
    automatic=True,
    assurance=SenderAssurance(confidence=Confidence.WEAK, by=("spf",), checks={"dmarc": "none"}, reason="Well."),
    sealed={
        "ds.gw.eth develop 0123456789abcdef": SealedOnce("{}", MessageHash("0x" + "cd" * 32)),
        "ds.far.eth develop 0123456789abcdef": SealedOnce(
            "{}", MessageHash("0x" + "cd" * 32), Wrapped('{"ciphertext":""}', "0123456789abcdef", 1_727_000_000_123)
        ),
    },
)
REPORT = ReportJob(
    EMAIL,
    StatusReport(
        native_id=NativeId("<a@b>"),
        sender=CanonicalId("bob@example.org"),
        recipient=EnsName("native.eth"),
        state=DeliveryState.FAILED,
        reason="no such name",
    ),
)


def test_an_outbound_job_is_read_as_it_was_written() -> None:
    assert decode_outbound(encode_outbound(WORK)) == WORK


@given(st.text(), st.sampled_from(MessageType), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_survives(text: str, kind: MessageType, files: list[str]) -> None:
    work = replace(WORK, text=text, type=kind, attachments=tuple(Attachment(data, data) for data in files), sealed={})
    assert decode_outbound(encode_outbound(work)) == work


def test_a_report_is_read_as_it_was_written() -> None:
    assert decode_report(encode_report(REPORT)) == REPORT


@given(st.text())
def test_any_instruction_survives(instruction: str) -> None:
    work = replace(WORK, instruction=instruction)
    assert decode_outbound(encode_outbound(work)) == work


def test_a_job_of_an_earlier_version_is_read() -> None:
    payload = b'{"network":"email","sender":"b.gw.eth","recipient":"n.eth","type":"NEW","text":"x","sent_at":1}'
    assert decode_outbound(payload).instruction is None


def test_attachments_of_an_earlier_version_are_read() -> None:
    payload = (
        b'{"network":"email","sender":"b.gw.eth","recipient":"n.eth","type":"NEW","text":"x","sent_at":1,'
        b'"attachments":[{"data":"data:,a\\n","name":"a"},{"data":"12"}]}'
    )
    assert decode_outbound(payload).attachments == (Attachment("data:,a\n", "a"), Attachment("12"))


@pytest.mark.parametrize("sizes", [("2", "3"), ("2", "1"), ("-2", "6"), ("5", "-1"), ("x", "4"), ("", "4"), ("5",), ()])
def test_attachments_that_are_not_as_long_as_they_say_are_damage(sizes: tuple[str, ...]) -> None:
    head = (
        '{"network":"email","sender":"b.gw.eth","recipient":"n.eth","type":"NEW","text":"x","sent_at":1,'
        f'"attachments":[{",".join(json.dumps({"data": each}) for each in sizes)}]}}'
    )
    with pytest.raises(InvalidInput):
        decode_outbound(f"{head}\nabcd".encode())


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"network": 1}', b"\xff", b"\n", b"{}\n"])
def test_a_damaged_payload_is_named_so(payload: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_outbound(payload)
    with pytest.raises(InvalidInput):
        decode_report(payload)


def test_message_text_is_not_in_the_representation() -> None:
    assert "Grüße" not in repr(WORK)
    assert "aGk" not in repr(WORK)
    assert "room:" not in repr(WORK)


def test_a_conversation_keeps_its_lane_and_no_other_has_it() -> None:
    first = outbound_job(WORK, now=1, expires_at=2)
    again = outbound_job(replace(WORK, text="else", native_id=NativeId("<2@b>")), now=3, expires_at=4)
    other = outbound_job(replace(WORK, recipient=EnsName("other.eth")), now=1, expires_at=2)
    assert first.lane == again.lane != other.lane
    assert destination_of(first.lane) == DM3_LANES
    assert (first.kind, first.created_at, first.expires_at) == (JobKind.OUTBOUND, 1, 2)


def test_reports_go_by_person() -> None:
    job = report_job(REPORT, now=1, expires_at=2)
    assert destination_of(job.lane) == EMAIL
    assert job.kind == JobKind.REPORT


def test_a_conversation_has_one_name_for_both_directions() -> None:
    assert conversation(EnsName("a.eth"), EnsName("b.eth")) == "a.eth|b.eth"
