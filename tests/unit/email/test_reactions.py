"""Reactions: what is one (RFC 9078), and how we write it."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.body import read_body
from adapters.email.mime import leaves
from adapters.email.reactions import emoji_in, gmail_emoji, set_reaction

EMOJI = [
    "\U0001f44d",  # thumbs up
    "\U0001f44d\U0001f3fd",  # with a skin tone
    "\u2764\ufe0f",  # heart with variation selector
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # family
    "\U0001f1e9\U0001f1ea",  # flag
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # flag of England
    "1\ufe0f\u20e3",  # keycap
    "\u203c\ufe0f",  # double exclamation
    "\U0001fae8",  # younger than some tables
]


@pytest.mark.parametrize("emoji", EMOJI)
def test_emoji(emoji: str) -> None:
    assert emoji_in(f"{emoji}\r\n") == emoji
    assert emoji_in(f" {emoji} {emoji}") == f"{emoji} {emoji}"
    assert emoji_in(f"{emoji} yes") is None
    assert emoji_in(f"yes{emoji}") is None


@pytest.mark.parametrize("text", ["", " ", "yes", "+1", ":-)", "1", "#", "\u200d", "\ufe0f", "\U0001f44d" * 500])
def test_no_reaction(text: str) -> None:
    assert emoji_in(text) is None


@pytest.mark.parametrize(
    ("text", "emoji"),
    [
        ('{"version": 1, "emoji": "\U0001f44d"}', "\U0001f44d"),
        ('{"emoji": "yes"}', None),
        ('{"emoji": 1}', None),
        ("[]", None),
        ("{", None),
        ("[" * 900, None),
    ],
)
def test_gmail(text: str, emoji: str | None) -> None:
    assert gmail_emoji(text) == emoji


@given(st.text(max_size=50))
def test_any_text_is_a_reaction_or_none(text: str) -> None:
    found = emoji_in(text)
    assert found is None or found == " ".join(text.split())


@pytest.mark.parametrize("emoji", EMOJI)
def test_what_we_write_is_read(emoji: str) -> None:
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["From"] = "bob@example.net"
    set_reaction(message, emoji, f"Reacted with {emoji}\n")
    content = message.as_bytes()
    assert content.isascii()
    body = read_body(leaves(content))
    assert (body.reaction, body.text, body.files) == (emoji, "", ())
    parsed = message_from_bytes(content, policy=default)
    assert parsed.get_content_type() == "multipart/alternative"
    words, reaction = parsed.iter_parts()
    assert isinstance(words, EmailMessage)
    assert isinstance(reaction, EmailMessage)
    assert words.get_content().strip() == f"Reacted with {emoji}"
    assert reaction.get_content_disposition() == "reaction"
    assert reaction.get_content_type() == "text/plain"
    assert reaction.get_content().strip() == emoji
