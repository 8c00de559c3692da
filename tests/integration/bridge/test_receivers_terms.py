"""What a recipient's service announces is obeyed: types, encryption, attachments, size."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.dm3.encryption import SCHEME
from gateway.dm3.envelope import parse_envelope
from gateway.dm3.message import Attachment, MessageType
from gateway.ids import CanonicalId, EnsName, NativeId
from gateway.sdk import DeliveryState, Outgoing, Person, file_attachment
from gateway.store.jobs import JobState
from gateway.store.queue import QueueList
from gateway.store.status import StatusOf
from tests.integration.bridge.scripted import (
    BOB,
    UNKNOWN_METHOD,
    ScriptedService,
    person_at,
    read_by_carol,
    refusal,
)
from tests.support.adapters import PaperAdapter
from tests.support.house import House
from tests.support.waiting import until

NEW = MessageType.NEW
SENT = {
    MessageType.REPLY: "yes",
    MessageType.EDIT: "helo",
    MessageType.REACTION: "\U0001f44d",
    MessageType.DELETE_REQUEST: "",
    MessageType.RESEND_REQUEST: "",
    MessageType.READ_RECEIVED: "",
    MessageType.READ_OPENED: "",
}
"""One message of each type, all about an earlier one."""
INSTEAD = {
    MessageType.REPLY: "yes",
    MessageType.EDIT: "Correction: helo",
    MessageType.REACTION: "Reacted with \U0001f44d",
    MessageType.DELETE_REQUEST: "Asked you to delete an earlier message.",
    MessageType.RESEND_REQUEST: "Asked you to send an earlier message again.",
}
"""What a recipient reads who takes none of them; receipts are missing, because they say nothing."""
ALL = frozenset(MessageType)


def answered(value: Any) -> tuple[int, Any]:
    """A result as an object, in the specification's way; the reference gives it as a text."""
    return 200, {"jsonrpc": "2.0", "id": 1, "result": value}


FORMS: dict[str, tuple[Any, frozenset[MessageType]]] = {
    "the specification": (
        answered({"encryptionScheme": [SCHEME], "supportedMessageTypes": ["NEW", "REPLY", "READ_RECEIPT"]}),
        frozenset({NEW, MessageType.REPLY, MessageType.READ_OPENED, MessageType.READ_RECEIVED}),
    ),
    "the specification's example": (
        {"supportedMesssageTypes": ["NEW", "EDIT", "RESEND_REQUEST"]},
        frozenset({NEW, MessageType.EDIT, MessageType.RESEND_REQUEST}),
    ),
    "NEW alone": ({"supportedMessageTypes": ["NEW"]}, frozenset({NEW})),
    "the reference": ({"notSupportedMessageTypes": ["NEW"]}, ALL),
    "the reference, put right": (
        {"notSupportedMessageTypes": ["REACTION", "DELETE_REQUEST", "READ_OPENED"]},
        ALL - {MessageType.REACTION, MessageType.DELETE_REQUEST, MessageType.READ_OPENED},
    ),
    "both": (
        {"supportedMessageTypes": ["NEW", "EDIT", "REACTION"], "notSupportedMessageTypes": ["EDIT"]},
        frozenset({NEW, MessageType.REACTION}),
    ),
    "a list of numbers": ({"supportedMessageTypes": [1, 2]}, ALL),
    "no object": (["NEW"], ALL),
    "no JSON inside": (answered("{not json"), ALL),
    "no JSON at all": ((200, "<html>"), ALL),
    "100 kB": ({"supportedMessageTypes": ["NEW"], "padding": "x" * 100_000}, ALL),
    "unknown method": (UNKNOWN_METHOD, ALL),
    "unknown user": ((400, {"error": "unknown user"}), ALL),
    "an error in a 200": ((200, refusal(-32601)), ALL),
    "an error with a result": ((400, answered({"supportedMessageTypes": ["NEW"]})[1]), ALL),
    "no time": ((503, ""), ALL),
}


@pytest.mark.weakness(10)
@pytest.mark.parametrize("form", FORMS)
async def test_each_type_arrives_in_a_form_that_the_recipient_takes(
    house: House, paper: PaperAdapter, form: str
) -> None:
    extension, types = FORMS[form]
    service = ScriptedService(extension=extension)
    async with service.at(house.chain, "picky.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n0")
        for kind, text in SENT.items():
            await paper.write(BOB, carol.name, text, f"n-{kind}", type=kind, reference="n0")
        await paper.write(BOB, carol.name, "end", "n9")
        expected = [
            (kind, text) if kind in types else (NEW, INSTEAD[kind])
            for kind, text in SENT.items()
            if kind in types or kind in INSTEAD
        ]
        await service.wait_taken(len(expected) + 2)
        first, *others, last = (read_by_carol(house, envelope) for envelope in service.taken)
        assert [(each.type, each.text) for each in others] == expected
        assert (last.type, last.text) == (NEW, "end")
        digest = parse_envelope(service.taken[0]).metadata.message_hash
        assert [each.reference for each in others] == [digest] * len(others), "a stand-in keeps its reference"
        assert first.reference is None
        assert paper.reports == []


async def test_a_receipt_that_is_not_taken_counts_as_done(house: House, paper: PaperAdapter) -> None:
    service = ScriptedService(extension={"supportedMessageTypes": ["NEW"]})
    async with service.at(house.chain, "picky.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n0")
        await paper.write(BOB, carol.name, "", "n1", type=MessageType.READ_OPENED, reference="n0")

        async def nothing_waits() -> bool | None:
            return not await house.gateway.store.read(QueueList(JobState.READY, 10)) or None

        await until(nothing_waits)
        assert len(service.taken) == 1
        assert await house.gateway.store.read(StatusOf(paper.name, NativeId("n1"), carol.name)) is None
        assert paper.reports == []


async def test_what_is_learned_between_two_tries_counts(house: House, paper: PaperAdapter) -> None:
    """At first the service had no time to say what it takes; the envelope of that try is not sent again."""
    service = ScriptedService(extension=(503, ""), answers=[(200, "OK"), (503, "")])
    handle = service.handle

    async def tell_after_the_first_try(request: Any) -> Any:
        if len(service.taken) == 2:
            service.extension = {"supportedMessageTypes": ["NEW"]}
        return await handle(request)

    service.handle = tell_after_the_first_try  # type: ignore[method-assign]
    async with service.at(house.chain, "picky.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n0")
        await paper.write(BOB, carol.name, "helo", "n1", type=MessageType.EDIT, reference="n0")
        await service.wait_taken(3)
        second, third = (read_by_carol(house, envelope) for envelope in service.taken[1:])
        assert (second.type, third.type) == (MessageType.EDIT, NEW)
        assert third.text == "Correction: helo"


async def test_the_recipient_is_asked_by_name_and_both_questions_at_once(house: House, paper: PaperAdapter) -> None:
    service = ScriptedService()
    both_asked = asyncio.Barrier(2)
    handle = service.handle

    async def answer_when_both_are_asked(request: Any) -> Any:
        if (await request.json())["method"] != "dm3_submitMessage":
            async with asyncio.timeout(30):
                await both_asked.wait()
        return await handle(request)

    service.handle = answer_when_both_are_asked  # type: ignore[method-assign]
    async with service.at(house.chain, "asked.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "one", "n0")
        await paper.write(BOB, carol.name, "two", "n1")
        await service.wait_taken(2)
        assert sorted(service.asked) == [
            ("dm3_getDeliveryServiceProperties", []),
            ("dm3_getProfileExtension", [carol.name]),
        ], "and not again for the second message"


async def test_a_service_that_does_not_answer_a_question_is_tried_later(
    house: House, paper: PaperAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ens.relays.PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr("gateway.ens.relays.SILENCE_SECONDS", 0.0)
    service = ScriptedService()
    handle, silent = service.handle, True

    async def keep_silent(request: Any) -> Any:
        if silent and (await request.json())["method"] == "dm3_getProfileExtension":
            await asyncio.sleep(1)
        return await handle(request)

    service.handle = keep_silent  # type: ignore[method-assign]
    async with service.at(house.chain, "mute.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n0")

        async def tried() -> bool | None:
            jobs = await house.gateway.store.read(QueueList(JobState.READY, 10))
            return any(job.attempts for job in jobs) or None

        await until(tried)
        assert service.taken == []
        silent = False
        await service.wait_taken(1)
        assert paper.reports == []


# --- encryption -----------------------------------------------------------------------------------------------------


async def test_who_lists_other_encryption_gets_the_default(house: House, paper: PaperAdapter) -> None:
    """DM3-MTP: the default must be accepted, whatever else is asked for."""
    service = ScriptedService(extension={"encryptionScheme": ["x448-aes"], "supportedMessageTypes": ["NEW"]})
    async with service.at(house.chain, "other.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n0")
        await service.wait_taken(1)
        assert (read_by_carol(house, service.taken[0]).text or "").startswith("hello")
        assert f'"encryptionScheme":"{SCHEME}"' in service.taken[0]


@pytest.mark.parametrize(
    ("schemes", "told"), [(["x448-aes"], True), (["x448-aes", SCHEME], False), ([SCHEME], False), ([], False)]
)
async def test_a_refusal_of_the_default_encryption_says_so(
    house: House, paper: PaperAdapter, schemes: list[str], told: bool
) -> None:
    service = ScriptedService(answers=[(400, refusal(-32000, "not this"))], extension={"encryptionScheme": schemes})
    async with service.at(house.chain, "other.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "hello", "n0")
        report = await paper.wait_report(DeliveryState.FAILED)
        assert ("encryption that this gateway does not have" in report.reason) is told
        assert "not this" in report.reason


# --- attachments and size -------------------------------------------------------------------------------------------


async def write_with_files(paper: PaperAdapter, recipient: EnsName, *files: Attachment) -> None:
    outgoing = Outgoing(
        sender=Person(CanonicalId(BOB)),
        recipient=recipient,
        native_id=NativeId("n0"),
        sent_at=1_727_000_000_000,
        text="see files",
        attachments=files,
    )
    await paper.ctx.submit(outgoing)


@pytest.mark.parametrize(("limit", "words"), [(999, ["999 bytes", "1000 bytes"]), (0, ["does not take attachments"])])
async def test_more_attached_than_the_recipient_takes_is_told_before_it_is_sent(
    house: House, paper: PaperAdapter, limit: int, words: list[str]
) -> None:
    service = ScriptedService(extension={"maxAttachmentBytes": limit})
    async with service.at(house.chain, "light.eth") as name:
        carol = await person_at(house, name)
        halves = (file_attachment("a", "text/plain", b"a" * 500), file_attachment("b", "text/plain", b"b" * 500))
        await write_with_files(paper, carol.name, *halves)
        report = await paper.wait_report(DeliveryState.FAILED)
        assert all(word in report.reason for word in (carol.name, *words)), report.reason
        assert service.taken == []


@pytest.mark.parametrize("limit", [1000, None, "999", -1])
async def test_attachments_within_the_limit_go(house: House, paper: PaperAdapter, limit: Any) -> None:
    service = ScriptedService(extension={"maxAttachmentBytes": limit})
    async with service.at(house.chain, "light.eth") as name:
        carol = await person_at(house, name)
        link = Attachment("https://example.org/large.iso", "large.iso")
        await write_with_files(paper, carol.name, file_attachment("a", "text/plain", b"a" * 1000), link)
        await service.wait_taken(1)
        assert len(read_by_carol(house, service.taken[0]).attachments or ()) == 2


@pytest.mark.parametrize(
    ("properties", "goes"),
    [
        ({"sizeLimit": 5_000}, False),
        (answered({"sizeLimit": 5e3}), False),
        ({"sizeLimit": 50_000}, True),
        ({"sizeLimit": 0}, True),
        ({"sizeLimit": None}, True),
        ({"sizeLimit": "5000"}, True),
        ((400, ""), True),
        ((200, refusal(-32601)), True),
    ],
    ids=str,
)
async def test_the_size_limit_is_obeyed(house: House, paper: PaperAdapter, properties: Any, goes: bool) -> None:
    service = ScriptedService(properties=properties)
    async with service.at(house.chain, "small.eth") as name:
        carol = await person_at(house, name)
        await paper.write(BOB, carol.name, "x" * 8_000, "n0")
        if goes:
            await service.wait_taken(1)
        else:
            report = await paper.wait_report(DeliveryState.FAILED)
            assert "5000 bytes" in report.reason
            assert service.taken == []
