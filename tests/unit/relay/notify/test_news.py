"""Words of notifications: the reference's, and strangers' names in them are nothing but names."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dm3.canonical import stringify
from gateway.ids import EnsName
from gateway.relay.notify.news import MAX_NAME, News, code_text, plain_name

SERVICE = EnsName("ds.gw.eth")
HOSTILE = [
    "<script>alert(1)</script>.eth",
    "a.eth\r\nBcc: eve@example.org\r\n\r\n<b>hello</b>",
    "a.eth\n.\nMAIL FROM:<eve@example.org>",
    "a\0.eth",
    "\u202egro.elpmaxe",
    "a\u200b.eth",
    "a\u2028b.eth",
    '"}],"title":"x',
    "a\ud800.eth",
    "=?utf-8?q?=0D=0ABcc:_eve=40example.org?=",
]


def news(sender: str = "alice.eth", *, verified: bool = True, recipient: str = "bob.eth") -> News:
    return News(recipient=EnsName(recipient), sender=EnsName(sender), verified=verified, service=SERVICE)


def test_the_words_are_those_of_the_reference() -> None:
    assert news().sentence == "You received a new message from alice.eth."
    assert news().push_payload() == {"title": "New Message", "body": "You received a new message from alice.eth."}


def test_a_sender_who_was_not_checked_is_marked() -> None:
    assert news(verified=False).sentence == "You received a new message from alice.eth (not verified)."


def test_a_mail_says_for_whom_and_where() -> None:
    text = news().mail_text()
    assert text.startswith("You received a new message from alice.eth.\n")
    assert "bob.eth" in text
    assert "ds.gw.eth" in text


def test_the_mail_with_a_code() -> None:
    text = code_text("01234", EnsName("bob.eth"), SERVICE, 10)
    assert text.startswith("Your verification code is 01234\n")
    assert "bob.eth" in text
    assert "10 minutes" in text


@pytest.mark.weakness(13)
@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_hostile_name_adds_no_line_and_no_field(name: str) -> None:
    assert news(name).mail_text().count("\n") == news().mail_text().count("\n")
    assert code_text("1", EnsName(name), SERVICE, 1).count("\n") == code_text("1", EnsName("a"), SERVICE, 1).count("\n")
    payload = json.loads(stringify(news(name).push_payload()))
    assert payload.keys() == {"title", "body"}
    assert payload["title"] == "New Message"


@pytest.mark.weakness(13)
@given(st.text(max_size=600))
def test_names_are_one_printable_line_of_bounded_length(name: str) -> None:
    shown = plain_name(name)
    assert shown.splitlines() in ([], [shown])
    assert len(shown) <= MAX_NAME
    assert shown.encode().decode() == shown
    assert all(each in name for each in shown)


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("alice.eth", "bücher.eth", "日本.eth", "a-2esmith.example.org.email.gw.eth"):
        assert plain_name(name) == name
