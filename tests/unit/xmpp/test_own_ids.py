"""Ids of messages of ours: each names whom it was for, and nobody else makes one."""

from __future__ import annotations

import pytest

from adapters.xmpp.own_ids import OwnIds
from gateway.sdk import CanonicalId, EnsName

IDS = OwnIds(b"k" * 32)
ALICE, BOB = EnsName("alice.eth"), CanonicalId("bob@example.org")
KEY = "0123456789abcdef" * 4
FIRST = IDS.of(KEY, ALICE, BOB)


def test_all_parts_are_of_one_delivery() -> None:
    assert IDS.of(KEY, ALICE, BOB, 0) == FIRST
    parts = [IDS.of(KEY, ALICE, BOB, part) for part in (0, 1, 50)]
    assert len(set(parts)) == 3
    assert {IDS.first_part(each, ALICE, BOB) for each in parts} == {FIRST}


def test_short_keys_are_keys() -> None:
    id = IDS.of("ab", ALICE, BOB, 1)
    assert IDS.first_part(id, ALICE, BOB) == IDS.of("ab", ALICE, BOB)


@pytest.mark.parametrize(
    "id",
    [
        "",
        "dm3-",
        f"dm3-{KEY[:40]}",
        f"dm3-{KEY[:56]}",
        FIRST.removeprefix("dm3-"),
        FIRST[:-1] + "g",
        FIRST + "-",
        FIRST + "-x",
        FIRST + "-1-1",
        FIRST + "-99999",
        FIRST + "\n",
        FIRST.upper(),
        f"dm3-first-{KEY[:32]}",
        "dm3-" + "a" * 5_000,
        IDS.of(KEY[1:], ALICE, BOB)[:-16] + FIRST[-16:],
        OwnIds(b"x" * 32).of(KEY, ALICE, BOB),
    ],
)
def test_what_we_did_not_send_is_none(id: str) -> None:
    assert IDS.first_part(id, ALICE, BOB) is None


def test_what_went_to_somebody_else_is_none() -> None:
    assert IDS.first_part(FIRST, ALICE, CanonicalId("carol@example.org")) is None
    assert IDS.first_part(FIRST, EnsName("carol.eth"), BOB) is None
