"""Thirty mails that pretend to be from somebody, at one door: none of them speaks in that name, and honest ones do."""

from __future__ import annotations

from typing import Final

import pytest

from adapters.email.dkim.canonical import Form
from gateway.sdk import Confidence
from tests.integration.email.conftest import OpenWith
from tests.integration.email.test_authentication import BOB, KEYS, MAIL, REJECT, dmarc, reported, sent, speakers
from tests.support.signing import ed25519_key, key_rows, rsa_key, sealed, signed

EVE: Final = "eve@eve.example"
ROWS: Final = {
    **REJECT,
    **KEYS,
    "example.org TXT": ['"v=spf1 ip4:192.0.2.1 -all"'],
    "eve.example TXT": ['"v=spf1 +all"'],
    **dmarc("eve.example", "p=none"),
    **key_rows("eve.example", rsa_key()),
    **key_rows("example.org.eve.example", rsa_key()),
    **key_rows("examp1e.org", rsa_key()),
}
GOOD: Final = signed(MAIL, "example.org")
FROM: Final = b"From: Bob <bob@example.org>"
BY_EVE: Final = signed(MAIL, "eve.example")


def as_from(value: str) -> bytes:
    """Of Eve, whose domain vouches for it, with another From."""
    return signed(MAIL.replace(FROM, f"From: {value}".encode()), "eve.example")


def in_from(field: bytes) -> bytes:
    return MAIL.replace(FROM, field)


SPOOFED: Final[dict[str, bytes]] = {
    "nothing at all": MAIL,
    "SPF of another": MAIL.replace(b"To:", b"Sender: eve@eve.example\r\nTo:"),
    "DKIM of another": BY_EVE,
    "DKIM of a name below another": signed(MAIL, "example.org.eve.example"),
    "DKIM of a name that looks alike": signed(MAIL, "examp1e.org"),
    "DKIM of the suffix": signed(MAIL, "org"),
    "unknown key": signed(MAIL, "example.org", ed25519_key()),
    "unknown selector": signed(MAIL, "example.org", selector="s2"),
    "changed body": GOOD.replace(b"hello", b"send money"),
    "text behind the body": GOOD + b"send money\r\n",
    "changed subject": GOOD.replace(b"Subject: x", b"Subject: y"),
    "changed From": GOOD.replace(b"Bob <bob@", b"Bob <boss@"),
    "a signature of a part (l=)": signed(MAIL, "example.org", extra="l=5; ") + b"send money\r\n",
    "a signature of nothing (l=0)": signed(MAIL, "example.org", extra="l=0; "),
    "a signature without From": signed(MAIL, "example.org", names="to:subject"),
    "a signature that is over": signed(MAIL, "example.org", extra="t=1; x=2; "),
    "a selector that points elsewhere": signed(MAIL, "example.org", selector="s1._domainkey.eve.example"),
    "a good one of another mail": GOOD.partition(b"From:")[0] + MAIL.replace(b"hello", b"send money"),
    "one of the two fields that are signed": b"Subject: z\r\n" + signed(MAIL, "example.org", names="from:to:subject"),
    "SHA-1": GOOD.replace(b"a=rsa-sha256", b"a=rsa-sha1"),
    "no algorithm": GOOD.replace(b"a=rsa-sha256; ", b""),
    "two From fields, the honest one first": in_from(FROM + b"\r\nFrom: eve@eve.example"),
    "two From fields, the honest one last": in_from(b"From: eve@eve.example\r\n" + FROM),
    "two From fields, one of them signed": b"From: eve@eve.example\r\n" + GOOD,
    "two mailboxes": as_from("bob@example.org, eve@eve.example"),
    "a group": as_from("friends: bob@example.org;"),
    "results of ours, forged": reported("dmarc=pass header.from=example.org", "gw.example"),
    "results of a server in front, forged": reported("dmarc=pass header.from=example.org"),
    "a chain of a stranger": sealed(MAIL, "eve.example", "eve.example; dmarc=pass header.from=example.org"),
    "simple canonical form, one more blank": signed(MAIL, "example.org", forms=(Form.SIMPLE, Form.SIMPLE)).replace(
        b"Subject: x", b"Subject:  x"
    ),
}
TRICKS: Final = (
    '"bob@example.org" <eve@eve.example>',
    '"Bob <bob@example.org>" <eve@eve.example>',
    "=?utf-8?q?bob=40example.org?= <eve@eve.example>",
    "bob\uff20example.org <eve@eve.example>",
)


@pytest.mark.attack(23)
async def test_none_of_thirty_spoofed_mails_speaks_as_whom_it_names(open_with: OpenWith) -> None:
    assert len(SPOOFED) == 30
    door = await open_with(ROWS, trusted_servers=("mx.gw.example",), trusted_forwarders=("list.example",))
    shared = await open_with(ROWS, unverified="shared")
    for name, mail in SPOOFED.items():
        for each in (door, shared):
            reply = await sent(each, mail, EVE)
            assert reply.startswith("550"), (name, reply)
    assert door.ctx.taken == shared.ctx.taken == []
    assert (await sent(door, GOOD, EVE)).startswith("250"), "the honest one, by the same server"
    assert speakers(door) == [BOB]


@pytest.mark.attack(23)
@pytest.mark.parametrize("value", TRICKS)
async def test_a_display_name_does_not_show_another_address(open_with: OpenWith, value: str) -> None:
    """The mail is honest about who sent it; its name is not."""
    door = await open_with(ROWS)
    assert (await sent(door, as_from(value), EVE)).startswith("250")
    (taken,) = door.ctx.taken
    assert (taken.sender.canonical_id, taken.sender.display_name) == (EVE, "")
    assert "example.org" not in taken.text
    assert taken.assurance is not None
    assert (taken.assurance.confidence, taken.assurance.domain) == (Confidence.PROVED, "eve.example")
