"""How sure we are of a sender, as it goes into the message; and the trace on a mail that is kept."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from adapters.email.authentication.reported import parse_report
from gateway.sdk import Confidence, SenderAssurance
from tests.integration.email.conftest import OpenWith, Rows
from tests.integration.email.test_authentication import FORWARDED, KEYS, LISTS, MAIL, REJECT, SPF, dmarc, sent
from tests.integration.email.test_email_fidelity import fetched
from tests.support.signing import key_rows, rsa_key, signed

SIGNED = signed(MAIL, "example.org")
OTHERS = {**KEYS, **key_rows("mail.example.org", rsa_key()), **key_rows("eve.example", rsa_key())}


@pytest.mark.parametrize(
    ("rows", "mail", "confidence", "by"),
    [
        ({**REJECT, **KEYS, **SPF}, SIGNED, "proved", ("dkim", "spf")),
        ({**REJECT, **KEYS}, SIGNED, "proved", ("dkim",)),
        ({**REJECT, **SPF}, MAIL, "weak", ("spf",)),
        ({**REJECT, **SPF, **OTHERS}, signed(MAIL, "eve.example"), "weak", ("spf",)),
        ({**REJECT, **SPF, **OTHERS}, signed(MAIL, "mail.example.org"), "proved", ("dkim", "spf")),
        ({**KEYS}, SIGNED, "weak", ("dkim",)),
        ({**SPF}, MAIL, "weak", ("spf",)),
    ],
    ids=["both", "DKIM", "SPF alone", "SPF and a stranger's DKIM", "below", "DKIM, no policy", "SPF, no policy"],
)
@pytest.mark.attack(23)
async def test_what_proves_a_sender(
    open_with: OpenWith, rows: Rows, mail: bytes, confidence: str, by: tuple[str, ...]
) -> None:
    """Who may send for a domain is many: its own servers' word alone is not what a signature is, and is told so."""
    door = await open_with(rows)
    assert (await sent(door, mail)).startswith("250")
    told = door.ctx.taken[0].assurance
    assert told is not None
    assert (told.confidence, told.by, told.domain) == (Confidence(confidence), by, "example.org")
    assert told.checks["dmarc"] == ("pass" if rows.keys() & REJECT.keys() else "none")


async def test_a_forwarder_s_word(open_with: OpenWith) -> None:
    door = await open_with(LISTS, trusted_forwarders=("list.example",))
    assert (await sent(door, FORWARDED, "list@list.example")).startswith("250")
    told = door.ctx.taken[0].assurance
    assert told is not None
    assert (told.confidence, told.by, told.domain) == (Confidence.WEAK, ("arc",), "list.example")


async def test_nobody(open_with: OpenWith) -> None:
    door = await open_with(dmarc("example.org", "p=quarantine"), unverified="shared")
    assert (await sent(door, MAIL)).startswith("250")
    checks = {"spf": "none", "dkim": "none", "dmarc": "fail", "policy": "quarantine"}
    assert door.ctx.taken[0].assurance == SenderAssurance(confidence=Confidence.NONE, checks=checks)


@pytest.mark.attack(23)
async def test_a_kept_mail_bears_our_trace_and_no_forged_one(open_with: OpenWith) -> None:
    """RFC 8601, section 5: what claims to be ours and came from outside goes; others' own words stay."""
    door = await open_with({**REJECT, **KEYS, **SPF}, hostname="mx.gw.example")
    first = MAIL.replace(b"From:", b"Message-ID: <1@example.org>\r\nFrom:")
    assert (await sent(door, first)).startswith("250")
    answer = (
        b"Authentication-Results: MX.gw.example (really); dmarc=pass header.from=bank.example\r\n"
        b"Authentication-Results: mx.elsewhere.example; spf=fail\r\n"
        b'Authentication-Results: "mx.gw.example" 1; dkim=pass\r\n'
        + first.replace(b"<1@", b"<2@")
        .replace(b"From:", b"In-Reply-To: <1@example.org>\r\nFrom:")
        .replace(b"hello", b"thanks\r\n\r\nOn Monday Bob wrote:\r\n> hello")
    )
    assert (await sent(door, signed(answer, "example.org"))).startswith("250")
    link = door.ctx.taken[1].text.rpartition("(")[2].removesuffix(")")
    kept = message_from_bytes(await fetched(door, link), policy=policy.default)
    assert kept.keys()[:2] == ["Authentication-Results", "Received"]
    ours, theirs = (parse_report(str(each).encode()) for each in kept.get_all("Authentication-Results", []))
    assert (ours.server, theirs.server) == ("mx.gw.example", "mx.elsewhere.example")
    assert {each.method: each.outcome for each in ours.results} == {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
    assert str(kept["Received"]).startswith("from client.example.net ([127.0.0.1]) by mx.gw.example with ESMTP;")
