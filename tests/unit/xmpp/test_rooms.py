"""Rooms: their addresses, who may do what, and what of the past somebody sees."""

from __future__ import annotations

import pytest

from adapters.xmpp.errors import BadStanza, Condition
from adapters.xmpp.jids import Ids, Jid
from adapters.xmpp.rooms.room import Affiliation, Passed, Role, Room, check_nick, past, role
from adapters.xmpp.stanzas import Enter, Head
from adapters.xmpp.xml import NOTHING
from gateway.sdk import EnsName
from gateway.sdk.speakers import folded

IDS = Ids("dm3.example")
ROOM = Room(
    Jid.parse("team+alice.eth@dm3.example"),
    EnsName("alice.eth"),
    Jid.parse("alice.eth@dm3.example"),
    affiliations={"bob@example": Affiliation.OWNER},
)
HEAD = Head(Jid.parse("bob@example/a"), ROOM.jid)


@pytest.mark.parametrize(
    ("address", "room", "contact"),
    [
        ("team+alice.eth@dm3.example", "team+alice.eth", "alice.eth"),
        ("Team+Alice.eth@dm3.example/Nick", "team+alice.eth", "alice.eth"),
        ("a.b-c_1+xn--kda.eth@dm3.example", "a.b-c_1+xn--kda.eth", "xn--kda.eth"),
    ],
)
def test_an_address_names_the_room_and_the_name_it_talks_with(address: str, room: str, contact: str) -> None:
    jid = Jid.parse(address)
    assert IDS.is_room(jid)
    assert [each.local for each in IDS.room(jid)] == [room, contact]


@pytest.mark.parametrize(
    "local", ["+alice.eth", "team+", "-a+b.eth", "a+b+c.eth", "\N{WAVY DASH}+a.eth", "a" * 51 + "+b.eth"]
)
def test_other_addresses_name_no_room(local: str) -> None:
    with pytest.raises(BadStanza) as caught:
        IDS.room(Jid(local, "dm3.example"))
    assert caught.value.condition is Condition.JID_MALFORMED


def test_contacts_and_people_of_elsewhere_are_no_rooms() -> None:
    assert not IDS.is_room(Jid.parse("alice.eth@dm3.example"))
    assert not IDS.is_room(Jid.parse("bob+list@example"))


def test_a_room_keeps_an_owner() -> None:
    with pytest.raises(BadStanza, match="conflict"):
        ROOM.with_affiliation("bob@example", Affiliation.MEMBER)
    two = ROOM.with_affiliation("carol@example", Affiliation.OWNER)
    assert two.with_affiliation("bob@example", Affiliation.NONE).affiliations == {"carol@example": Affiliation.OWNER}


def test_roles_follow_from_affiliations() -> None:
    assert {each: role(each) for each in Affiliation} == {
        Affiliation.OWNER: Role.MODERATOR,
        Affiliation.ADMIN: Role.MODERATOR,
        Affiliation.MEMBER: Role.PARTICIPANT,
        Affiliation.NONE: Role.PARTICIPANT,
        Affiliation.OUTCAST: Role.NONE,
    }


def test_nicks_that_differ_in_case_or_width_are_the_same() -> None:
    assert folded("Bob") == folded("bob ") == folded("\N{FULLWIDTH LATIN CAPITAL LETTER B}ob")
    assert folded("bob") != folded("rob")
    for nick, condition in (
        ("", Condition.JID_MALFORMED),
        ("  ", Condition.JID_MALFORMED),
        (" : ", Condition.JID_MALFORMED),
        ("\u200b", Condition.JID_MALFORMED),
        ("a" * 101, Condition.NOT_ACCEPTABLE),
    ):
        with pytest.raises(BadStanza) as caught:
            check_nick(nick)
        assert caught.value.condition is condition


@pytest.mark.parametrize(
    ("wish", "joined_at", "seen"),
    [
        (Enter(HEAD), 0, [100, 200, 300]),
        (Enter(HEAD), 200, [200, 300]),
        (Enter(HEAD, most=0), 0, []),
        (Enter(HEAD, most=1), 0, [300]),
        (Enter(HEAD, most=9), 250, [300]),
        (Enter(HEAD, since=101), 0, [200, 300]),
        (Enter(HEAD, since=1), 250, [300]),
        (Enter(HEAD, seconds=0), 0, []),
        (Enter(HEAD, seconds=1), 0, [100, 200, 300]),
    ],
)
def test_nobody_sees_what_was_said_before_they_came(wish: Enter, joined_at: int, seen: list[int]) -> None:
    said = [Passed(str(at), str(at), "nick", "bob@example", at, NOTHING) for at in (100, 200, 300)]
    assert [each.at for each in past(said, wish, joined_at, 400)] == seen
