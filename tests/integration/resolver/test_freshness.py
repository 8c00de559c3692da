"""How old an answer may be, asked over HTTP of running gateways."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from eth_abi.abi import decode

from gateway.ens.names import namehash
from gateway.ids import CanonicalId, EnsName
from gateway.resolver.rows import LIFE
from gateway.sdk import MessageType, NativeId, Outgoing, Person
from gateway.store.names import NameRow, PutName
from tests.integration.store.values import Sql
from tests.support.adapters import PaperAdapter
from tests.support.house import PARENT, House, another_node, running_house
from tests.support.waiting import until
from tests.unit.resolver import support

VANITY = EnsName(f"vanity.{PARENT}")


async def text(house: House, name: EnsName, key: str = "url") -> str:
    """The text record in the signed answer."""
    (contract,) = house.settings.ens.resolver_addresses
    calldata = support.resolve(name, support.text(name, key))
    response = await house.http.get(f"{house.url}/ccip/{contract}/0x{calldata.hex()}.json")
    assert response.status_code == 200
    result, _, _ = decode(["bytes", "uint64", "bytes"], bytes.fromhex(response.json()["data"][2:]))
    found: str = decode(["string"], result)[0]
    return found


def row(value: str) -> NameRow:
    return NameRow(VANITY, namehash(VANITY), None, None, {}, {"url": value}, None, 1, 1)


async def test_what_another_node_wrote_is_answered_within_the_bound(tmp_path: Path) -> None:
    async with running_house(tmp_path, working=False) as house, another_node(house, working=False) as other:
        assert await text(house, VANITY) == ""
        await other.gateway.store.commit(PutName(row("1")))
        assert await text(house, VANITY) == "1"  # names without a row are not remembered
        for op, value in ((PutName(row("2")), "2"), (Sql("DELETE FROM names"), "")):
            await text(house, VANITY)
            op_: Any = op
            await other.gateway.store.commit(op_)
            other.gateway.name_rows.forget(VANITY)
            assert await text(other, VANITY) == value  # at once on the node that wrote

            began = time.monotonic()

            async def seen(value: str = value, began: float = began) -> bool | None:
                asked = time.monotonic()  # how long the answer then takes does not matter
                found = await text(house, VANITY) == value
                assert found or asked - began < LIFE + 2
                return found or None

            await until(seen)


async def test_a_person_who_changes_their_display_name_is_shown_by_it_at_once(tmp_path: Path) -> None:
    paper = PaperAdapter()
    async with running_house(tmp_path, adapters={paper.name: paper}) as house:
        native = await house.native("native.eth")
        for number, shown in enumerate(("Bob", "Robert", "Bobby")):
            submitted = await paper.ctx.submit(
                Outgoing(
                    sender=Person(CanonicalId("bob@example.org"), display_name=shown),
                    recipient=native.name,
                    type=MessageType.NEW,
                    text="hello",
                    native_id=NativeId(f"m-{number}"),
                    sent_at=house.gateway.store.clock(),
                )
            )
            assert await text(house, submitted.sender_name, "alias") == shown
