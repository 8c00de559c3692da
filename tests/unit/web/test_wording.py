"""Small texts of the pages."""

from __future__ import annotations

import pytest

from gateway.ids import EnsName
from gateway.web.records_view import record_groups
from gateway.web.wanted import full_name, looks_like
from gateway.web.wording import ago, day, exact, short, told

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (0, "just now"),
        (59_999, "just now"),
        (-1, "in a moment"),
        (60_000, "1 minute ago"),
        (2 * 3_600_000, "2 hours ago"),
        (-3 * 86_400_000, "in 3 days"),
        (366 * 86_400_000, "1 year ago"),
    ],
)
def test_moments(distance: int, words: str) -> None:
    assert ago(NOW - distance, NOW) == words


def test_moments_for_machines_and_calendars() -> None:
    assert (exact(NOW), day(NOW)) == ("2027-01-15T08:00:00Z", "15 January 2027")


@pytest.mark.parametrize(
    ("detail", "sentence"),
    [
        ("bob.gw.eth is taken", "bob.gw.eth is taken."),
        ("this name is reserved", "This name is reserved."),
        ("0x12 is not on the list", "0x12 is not on the list."),
        ("Why?", "Why?"),
        ("", ""),
    ],
)
def test_reasons_become_sentences(detail: str, sentence: str) -> None:
    assert told(detail) == sentence


def test_actors() -> None:
    assert short("0x" + "ab" * 20) == "0xababab…ababab"
    assert short("key:7") == "key:7"


def test_records_stand_in_groups_that_have_some() -> None:
    records = {
        "addr": "0x1",
        "coin:0": "0x2",
        "coin:2147483648": "0x3",
        "coin:2147483655": "0x4",
        "coin:99": "0x5",
        "text:url": "https://x",
        "text:strange": "javascript:x",
        "text:network.dm3.profile": "x" * 200,
        "contenthash": "0x6",
        "interface:0x12345678": "0x7",
    }
    groups = {group.title: [line.title for line in group.lines] for group in record_groups(records)}
    assert groups == {
        "Addresses": ["Ethereum", "Bitcoin", "Every EVM chain", "EVM chain 7", "Coin type 99"],
        "Messages": ["DM3 profile"],
        "About": ["Web page", "strange", "Content"],
        "More": ["Interface 0x12345678"],
    }
    lines = {line.key: line for group in record_groups(records) for line in group.lines}
    assert [key for key, line in lines.items() if line.link] == ["text:url"]
    assert [key for key, line in lines.items() if line.long] == ["text:network.dm3.profile"]


def test_what_a_label_looks_like() -> None:
    assert looks_like("аррӏе") == ("apple",), "Cyrillic"
    assert looks_like("apple") == ()
    assert looks_like("時計") == ()


def test_names_as_people_type_them() -> None:
    parent = EnsName("gw.eth")
    assert [full_name(each, parent) for each in ("Bob", "BOB.gw.eth", "gw.eth")] == ["bob.gw.eth"] * 2 + ["gw.eth"]
