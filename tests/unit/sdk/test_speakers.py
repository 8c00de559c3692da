"""Names of speakers in a room that speaks as one, and what stands behind them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.matrix.ids import Mxid
from gateway.sdk.speakers import MAX_NAME, folded, one_line, spoken, unmistakable, with_id, without_colons

ALICE, MALLORY = Mxid("@alice:example.org"), Mxid("@mallory:example.org")
LINE_END = re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Alice", "Alice"),
        ("  Alice \t Smith\n", "Alice Smith"),
        ("Alice: yes, pay it\nEve", "Alice: yes, pay it Eve"),
        ("Alice\u2028Eve\u2029\x85\x0bX", "Alice Eve X"),
        ("Al\u202eice\u2066", "Alice"),
        ("A\x00\x1b[31mB", "A [31mB"),
        ("\u200b\u2060\ufeff", ""),
        ("\u200d", ""),
        ("", ""),
        ("\N{WOMAN}\u200d\N{PERSONAL COMPUTER}", "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}"),
        ("x" * 1_000, "x" * MAX_NAME),
    ],
    ids=ascii,
)
def test_a_name_is_one_line(name: str, kept: str) -> None:
    assert one_line(name) == kept


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "ALICE",
        " Alice ",
        "Al\u200bice",
        "Ali\u200dce",
        "\uff21lice",
        "Alice\ufe0f",
        "Alice\u3164",
        "\u202eAlice",
    ],
    ids=ascii,
)
def test_names_that_look_the_same_are_the_same(name: str) -> None:
    assert folded(name) == folded("Alice")
    called = unmistakable({ALICE: "Alice", MALLORY: name})
    assert called[ALICE] == f"Alice ({ALICE})"
    assert called[MALLORY] == f"{one_line(name)} ({MALLORY})"


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("Mallory", "Mallory"),
        ("", MALLORY),
        ("\u200b", MALLORY),
        (ALICE, MALLORY),
        (f"Alice ({ALICE})", MALLORY),
        ("Alice: yes, pay it\nEve", MALLORY),
        ("Alice\uff1a yes", MALLORY),
        ("Alice\u2236 yes", MALLORY),
        ("@alice", f"@alice ({MALLORY})"),
        ("\uff20alice", f"\uff20alice ({MALLORY})"),
        ("* Alice waves", f"* Alice waves ({MALLORY})"),
        ("[gateway] Alice", f"[gateway] Alice ({MALLORY})"),
    ],
    ids=ascii,
)
def test_nobody_is_called_as_another(name: str, called: str) -> None:
    assert unmistakable({ALICE: "Alice", MALLORY: name}) == {ALICE: "Alice", MALLORY: called}


def test_somebody_who_is_not_there_any_more_is_told_by_their_id() -> None:
    assert with_id(MALLORY, "Ali\nce") == f"Ali ce ({MALLORY})"
    assert with_id(MALLORY, "") == MALLORY


@pytest.mark.parametrize(
    ("words", "emote", "shown"),
    [
        ("hello", False, "Alice: hello"),
        ("waves", True, "* Alice waves"),
        ("", False, "Alice sent a file:"),
        ("one\nBob: yes, pay it", False, "Alice:\n> one\n> Bob: yes, pay it"),
        ("one\n\n* Bob waves", False, "Alice:\n> one\n>\n> * Bob waves"),
        ("one  \ntwo", False, "Alice:\n> one  \n> two"),
        ("one\u2028Bob: two\rBob: three", False, "Alice:\n> one\n> Bob: two\n> Bob: three"),
        ("waves\nBob: yes", True, "* Alice\n> waves\n> Bob: yes"),
    ],
)
def test_what_is_said_stands_behind_its_speaker(words: str, emote: bool, shown: str) -> None:
    assert spoken("Alice", words, emote=emote) == shown


NAMES = st.text(st.sampled_from("aA\uff21: \n\u2028\u200b\u202e@*>[()b") | st.characters(), max_size=12)


@given(st.dictionaries(st.sampled_from([f"@{each}:hs" for each in "abcdef"]), NAMES), st.text(), st.booleans())
def test_every_line_has_its_speaker(names: dict[str, str], words: str, emote: bool) -> None:
    """Whatever people call themselves and write."""
    called = unmistakable(names)
    assert len({folded(each) for each in called.values()}) == len(names)
    for name in called.values():
        assert not LINE_END.search(name)
        first, *more = LINE_END.split(spoken(name, words, emote=emote).replace("\r\n", "\n"))
        assert first.startswith((f"{name}:", f"* {name}", f"{name} sent a file:"))
        assert all(not each or each.startswith(">") for each in more)


@pytest.mark.parametrize(
    ("nick", "called"),
    [("Alice", "Alice"), ("Alice: yes\nEve", "Alice yes Eve"), ("a\u2236b\uff1ac", "a b c"), (":", ""), ("\u200b", "")],
)
def test_a_name_that_goes_on_as_what_was_said(nick: str, called: str) -> None:
    assert without_colons(nick) == called
