"""Recipients at other delivery services: submission over HTTP, fall-back in the recipient's order, refusals."""

from __future__ import annotations

from pathlib import Path

from gateway.dm3.envelope import envelope_hashes, parse_envelope
from gateway.ids import EnsName
from gateway.sdk import DeliveryState
from tests.integration.bridge.scripted import BOB, ScriptedService, person_at, publish_service
from tests.support.adapters import PaperAdapter
from tests.support.house import House, running_house
from tests.support.waiting import mail_of


async def test_two_gateways_pass_messages_both_ways(tmp_path: Path) -> None:
    near_paper, far_paper = PaperAdapter(), PaperAdapter()
    async with (
        running_house(tmp_path / "near", adapters={near_paper.name: near_paper}) as near,
        running_house(
            tmp_path / "far", adapters={far_paper.name: far_paper}, chain=near.chain, parent=EnsName("far.eth")
        ) as far,
    ):
        native = await far.native("native.eth")
        await near_paper.write(BOB, native.name, "over the wire", "n1")
        (received,) = await mail_of(native)
        assert received.verified
        assert received.sender == "bob.example.org.paper.gw.eth"
        # From a person of one gateway to a person of the other.
        await far_paper.write("ann@example.net", native.name, "hello", "f1")
        await far_paper.write("ann@example.net", EnsName("bob.example.org.paper.gw.eth"), "to another bridge", "f2")
        (delivery,) = await near_paper.wait_delivered(1)
        assert delivery.sender == "ann.example.net.paper.far.eth"
        assert delivery.recipient == BOB
        report = await far_paper.wait_report(DeliveryState.DELIVERED)
        assert report.native_id == "f2"


async def test_the_next_service_is_tried_when_one_does_not_answer(house: House, paper: PaperAdapter) -> None:
    second = ScriptedService()
    async with second.at(house.chain, "second.eth") as second_name:
        await publish_service(house.chain, "dead.eth", "http://127.0.0.1:9")
        far = await person_at(house, "dead.eth", "no-such-service.eth", second_name, house.gateway.service_name)
        await paper.write(BOB, far.name, "hello", "n1")
        await second.wait_taken(1)
        assert len(second.taken) == 1


async def test_the_next_service_is_tried_when_our_own_has_no_room(tmp_path: Path) -> None:
    """That is known before the envelope is committed, or the job would wait for room that nobody makes."""
    paper, second = PaperAdapter(), ScriptedService()
    limits = {"DM3_GATEWAY__RELAY__MAILBOX_MESSAGES": "1"}
    async with (
        running_house(tmp_path, adapters={paper.name: paper}, overrides=limits) as house,
        second.at(house.chain, "second.eth") as second_name,
    ):
        far = await person_at(house, house.gateway.service_name, second_name)
        await paper.write(BOB, far.name, "fills it", "n1")
        await mail_of(far)
        await paper.write(BOB, far.name, "goes on", "n2")
        await second.wait_taken(1)
        assert len(second.taken) == 1
        assert len(await far.fetch()) == 1, "what was there stays alone"


async def test_a_doubtful_answer_is_repeated_with_the_same_envelope(house: House, paper: PaperAdapter) -> None:
    """The service took the envelope, we did not hear it: byte for byte the same comes again, and is a repeat there."""
    service = ScriptedService(answers=[(503, ""), (500, "oops"), (429, "")])
    async with service.at(house.chain, "doubtful.eth") as name:
        far = await person_at(house, name)
        await paper.write(BOB, far.name, "hello", "n1")
        await service.wait_taken(4)
        assert len(set(service.taken)) == 1


async def test_an_error_inside_a_200_is_an_error(house: House, paper: PaperAdapter) -> None:
    """A service of the specification says no in the body only."""
    error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "unknown recipient"}}
    service = ScriptedService(answers=[(200, error)])
    async with service.at(house.chain, "polite.eth") as name:
        far = await person_at(house, name)
        await paper.write(BOB, far.name, "hello", "n1")
        assert (await paper.wait_report(DeliveryState.FAILED)).native_id == "n1"


async def test_what_a_service_is_too_small_for_is_told_before_it_is_sent(house: House, paper: PaperAdapter) -> None:
    service = ScriptedService(properties={"sizeLimit": 10_000})
    async with service.at(house.chain, "small.eth") as name:
        far = await person_at(house, name)
        await paper.write(BOB, far.name, "x" * 20_000, "n1")
        report = await paper.wait_report(DeliveryState.FAILED)
        assert "larger" in report.reason
        assert service.taken == []


async def test_a_profile_without_services_is_told(house: House, paper: PaperAdapter) -> None:
    far = await person_at(house)
    await paper.write(BOB, far.name, "hello", "n1")
    report = await paper.wait_report(DeliveryState.FAILED)
    assert "names no delivery service" in report.reason


async def test_a_service_that_answers_nonsense_is_tried_again(house: House, paper: PaperAdapter) -> None:
    service = ScriptedService(answers=[(502, "<html>"), (200, "<html>")])
    async with service.at(house.chain, "odd.eth") as name:
        far = await person_at(house, name)
        await paper.write(BOB, far.name, "hello", "n1")
        await service.wait_taken(2)
        hashes = {envelope_hashes(parse_envelope(text)) for text in service.taken}
        assert len(hashes) == 1
