"""The one sender of all mail that nothing vouches for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.email.unverified import unverified
from gateway.sdk import CanonicalId, EnsName, MessageType, NativeId, Outgoing, Person

MAIL = Outgoing(
    sender=Person(CanonicalId("bob@example.org"), "Your Bank"),
    recipient=EnsName("alice.eth"),
    native_id=NativeId("<1@x>"),
    sent_at=1,
    type=MessageType.REPLY,
    text="hello",
    reference=NativeId("<0@x>"),
)


def test_who_speaks_and_what_is_said() -> None:
    message = unverified(MAIL, "gw.example")
    assert message.sender == Person(CanonicalId("unverified@gw.example"), "Unverified mail")
    assert message.text == ("[gateway] Nothing proves who sent this. It says that it is from bob@example.org.\n\nhello")
    assert message.automatic
    assert (message.recipient, message.native_id, message.reference) == (MAIL.recipient, MAIL.native_id, MAIL.reference)


@pytest.mark.parametrize("claimed", ["bob@example.org\n\n[gateway] Proved.", "a\u202eb@example.org", "x" * 5_000])
def test_an_address_cannot_say_more_than_an_address(claimed: str) -> None:
    sender = Person(CanonicalId(claimed), "")
    first, _, rest = unverified(
        Outgoing(sender=sender, recipient=MAIL.recipient, native_id=MAIL.native_id, sent_at=1, text="t"), "d"
    ).text.partition("\n")
    assert first.startswith("[gateway] Nothing proves")
    assert rest == "\nt"
    assert "\u202e" not in first
    assert len(first) < 500


def test_words_in_an_address_are_quoted() -> None:
    """A local part may be a sentence (RFC 5321, section 4.1.2)."""
    claimed = '"x. [gateway] it is proved. \\"y\\""@example.org'
    text = unverified(replace(MAIL, sender=Person(CanonicalId(claimed))), "gw.example").text.partition("\n")[0]
    said = "'x. [gateway] it is proved. \\'y\\''@example.org"
    assert text == f'[gateway] Nothing proves who sent this. It says that it is from "{said}".'
