"""Recipients of one mail: names and their tags, in whichever spelling."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.email.addressees import Addressees, tagged
from adapters.email.addresses import split_tag
from adapters.email.automatic import AUTOMATIC_MARK
from adapters.email.replies import MailRefused
from gateway.sdk import CanonicalId, EnsName, NativeId, Network, Outgoing, Person
from gateway.sdk.testing import MemoryContext

ALICE = EnsName("alice.eth")
OUTGOING = Outgoing(
    sender=Person(CanonicalId("bob@example.net")), recipient=ALICE, native_id=NativeId("<1>"), sent_at=0, text="hello"
)


def addressees(operator: str | None = None) -> Addressees:
    return Addressees("gw.example", operator, MemoryContext(network=Network("email")))


@pytest.mark.parametrize(
    ("local", "parts"),
    [
        ("alice.eth", ("alice.eth", "")),
        ("alice.eth+News", ("alice.eth", "News")),
        ("alice.eth+a+b", ("alice.eth", "a+b")),
        ('"alice.eth+a b"', ("alice.eth", "a b")),
        ("alice.eth+", ("alice.eth", "")),
    ],
)
def test_tags(local: str, parts: tuple[str, str]) -> None:
    assert split_tag(local) == parts


async def test_tags_of_a_name_come_together() -> None:
    found = await addressees().sort(
        ("alice.eth+a@gw.example", "ALICE.eth+b@gw.example", "alice.eth+a@GW.example", "carol.eth@gw.example")
    )
    assert found.names == ("alice.eth", "alice.eth", "alice.eth", "carol.eth")
    assert found.tags == {"alice.eth": ("a", "b")}
    assert not found.control
    assert (await addressees().sort(("control@gw.example",))).control


def test_a_tag_stands_above_the_text() -> None:
    assert tagged(OUTGOING, ()) == OUTGOING
    assert tagged(OUTGOING, ("news",)).text == "To: +news\n\nhello"
    assert tagged(OUTGOING, ("a", "b")).text == "To: +a, +b\n\nhello"
    assert tagged(replace(OUTGOING, text=""), ("a",)).text == "To: +a"
    automatic = replace(OUTGOING, text=f"{AUTOMATIC_MARK}away")
    assert tagged(automatic, ("a",)).text == f"{AUTOMATIC_MARK}To: +a\n\naway", "the mark stays in front"


async def test_the_operator_is_a_name_where_there_is_one() -> None:
    assert await addressees("op.eth").name("abuse+1@gw.example") == "op.eth"
    assert addressees("op.eth").is_operator("Postmaster@gw.example")
    assert not addressees().is_operator("postmaster@gw.example")
    assert not addressees("op.eth").is_operator("postmaster@else.example")
    for address in ("postmaster@gw.example", "postmaster@else.example", "b+x@gw.example"):
        with pytest.raises(MailRefused):
            await addressees().name(address)
