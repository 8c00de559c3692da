"""Whose sub-name may speak: each row of the table through the open door, over real DNS packets and SMTP sockets.

Loopback is a stranger here: the operator's networks are elsewhere.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.email.authentication import authenticator
from adapters.email.authentication import dns as lookup
from adapters.email.dkim.canonical import Form
from adapters.email.returnpath import ReturnPath
from gateway.sdk import CanonicalId, EnsName, MessageHash, NativeId, Outgoing, Person
from tests.integration.email.conftest import Door, OpenWith, Rows
from tests.integration.email.peers import Zone, dns_server
from tests.integration.email.talk import letter
from tests.support.signing import Key, ed25519_key, key_rows, rsa_key, sealed, signed

SPF = {"example.org TXT": ['"v=spf1 ip4:127.0.0.1 -all"']}
BOB = "bob@example.org"
MAIL = letter("hello", "Subject: x", sender="Bob <bob@example.org>") + b"\r\n"


def dmarc(domain: str, tags: str) -> dict[str, list[str]]:
    return {f"_dmarc.{domain} TXT": [f'"v=DMARC1; {tags}"']}


KEYS = key_rows("example.org", rsa_key())
"""Signed mail is signed by this."""
REJECT = dmarc("example.org", "p=reject")


async def sent(door: Door, mail: bytes, sender: str = BOB) -> str:
    """The reply to a mail."""
    async with door.talk() as talk:
        return await talk.mail(mail.removesuffix(b"\r\n"), sender=sender)


def speakers(door: Door) -> list[str]:
    return [each.sender.canonical_id for each in door.ctx.taken]


# --- rows of the table ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["none", "quarantine", "reject"])
@pytest.mark.parametrize("proof", ["spf", "dkim", "both"])
async def test_dmarc_pass_is_the_sender_of_from(open_with: OpenWith, policy: str, proof: str) -> None:
    rows = {**dmarc("example.org", f"p={policy}"), **({} if proof == "dkim" else SPF), **KEYS}
    door = await open_with(rows)
    mail = MAIL if proof == "spf" else signed(MAIL, "example.org")
    assert (await sent(door, mail)).startswith("250 2.0.0")
    assert door.ctx.taken[0].sender == Person(door.ctx.taken[0].sender.canonical_id, "Bob")
    assert speakers(door) == [BOB]
    assert door.ctx.taken[0].text == "**x**\n\nhello"


@pytest.mark.attack(23)
@pytest.mark.parametrize("settings", [{}, {"unverified": "shared"}])
async def test_dmarc_fail_is_rejected(open_with: OpenWith, settings: dict[str, str]) -> None:
    door = await open_with({**REJECT, "eve.example TXT": ['"v=spf1 +all"']}, **settings)
    reply = await sent(door, MAIL, "eve@eve.example")
    assert reply.startswith("550 5.7.1")
    assert "DMARC" in reply
    assert door.ctx.taken == []


@pytest.mark.attack(23)
@pytest.mark.parametrize("tags", ["p=quarantine", "p=reject; t=y", "p=none"])
async def test_dmarc_fail_with_a_milder_policy_is_never_the_named_sender(open_with: OpenWith, tags: str) -> None:
    rows = {**dmarc("example.org", tags), "eve.example TXT": ['"v=spf1 +all"']}
    door = await open_with(rows)
    assert (await sent(door, MAIL, "eve@eve.example")).startswith("550 5.7.1")
    door = await open_with(rows, unverified="shared")
    assert (await sent(door, MAIL, "eve@eve.example")).startswith("250")
    (taken,) = door.ctx.taken
    assert taken.sender == Person(taken.sender.canonical_id, "Unverified mail")
    assert taken.sender.canonical_id == "unverified@gw.example"
    assert taken.text.startswith("[gateway] Nothing proves who sent this. It says that it is from bob@example.org.\n")
    assert taken.automatic, "no notice about it may go to whoever the sender is not"


@pytest.mark.parametrize("proof", ["spf", "dkim"])
async def test_without_a_dmarc_record_one_aligned_proof_will_do(open_with: OpenWith, proof: str) -> None:
    rows = SPF if proof == "spf" else KEYS
    mail = MAIL if proof == "spf" else signed(MAIL, "example.org")
    door = await open_with(rows)
    assert (await sent(door, mail)).startswith("250")
    assert speakers(door) == [BOB]
    strict = await open_with(rows, without_dmarc="reject")
    reply = await sent(strict, mail)
    assert reply.startswith("550 5.7.1")
    assert "no DMARC record" in reply


async def test_without_a_dmarc_record_those_who_are_known(open_with: OpenWith) -> None:
    door = await open_with(SPF, without_dmarc="known")
    assert (await sent(door, MAIL)).startswith("550 5.7.1")
    earlier = Outgoing(
        sender=Person(CanonicalId(BOB)), recipient=EnsName("alice.eth"), native_id=NativeId("<0@x>"), sent_at=1
    )
    await door.ctx.submit(earlier)
    assert (await sent(door, MAIL)).startswith("250")


@pytest.mark.attack(23)
@pytest.mark.parametrize(
    "rows",
    [
        {},
        {"eve.example TXT": ['"v=spf1 +all"']},
        {"example.org TXT": ['"v=spf1 -all"']},
        key_rows("eve.example", rsa_key()),
    ],
    ids=["nothing", "SPF of another", "SPF fail", "DKIM of another"],
)
async def test_no_aligned_pass(open_with: OpenWith, rows: Rows) -> None:
    mail = signed(MAIL, "eve.example")
    door = await open_with(rows)
    assert (await sent(door, mail, "eve@eve.example")).startswith("550 5.7.1")
    door = await open_with(rows, unverified="shared")
    assert (await sent(door, mail, "eve@eve.example")).startswith("250")
    assert speakers(door) == ["unverified@gw.example"]


@pytest.mark.parametrize(
    ("failing", "mail"),
    [
        ("_dmarc.example.org", signed(MAIL, "example.org")),
        ("s1._domainkey.example.org", signed(MAIL, "example.org")),
        ("_dmarc.org", MAIL),
        # It passes, and whether it belongs to the author cannot be found out.
        ("_dmarc.mail.example.org", signed(MAIL, "mail.example.org")),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"unverified": "shared"}])
async def test_trouble_with_the_dns_is_for_later(
    open_with: OpenWith, failing: str, mail: bytes, settings: dict[str, str]
) -> None:
    """Also where the mail would be refused without the answer: nobody is told to give up for a fault of the DNS."""
    keys = {**KEYS, **key_rows("mail.example.org", rsa_key())}
    door = await open_with({**keys, "example.org TXT": ['"v=spf1 -all"']}, frozenset({failing}), **settings)
    assert (await sent(door, mail)).startswith("451 4.4.3")
    assert door.ctx.taken == []


async def test_trouble_with_spf_is_for_later_unless_dkim_passes(open_with: OpenWith) -> None:
    rows = {**REJECT, **KEYS}
    door = await open_with(rows, frozenset({"example.org"}))
    assert (await sent(door, MAIL)).startswith("451 4.4.3")
    assert (await sent(door, signed(MAIL, "example.org"))).startswith("250")


async def test_trouble_with_a_stranger_is_none(open_with: OpenWith) -> None:
    """Else anybody could have a forged mail tried for days, or an honest one held up, by a signature beside it."""
    door = await open_with({**REJECT, **KEYS}, frozenset({"s1._domainkey.eve.example", "eve.example"}))
    assert (await sent(door, signed(MAIL, "eve.example"), "eve@eve.example")).startswith("550 5.7.1")
    both = signed(signed(MAIL, "example.org"), "eve.example", ed25519_key())
    assert (await sent(door, both, "eve@eve.example")).startswith("250")


async def test_a_dns_that_does_not_answer(open_with: OpenWith, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "LOOKUP_TIME", 0.2)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    try:
        silent = f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
        door = await open_with({}, dns_servers=(silent,))
        assert (await sent(door, signed(MAIL, "example.org"))).startswith("451 4.4.3")
        monkeypatch.setattr(lookup, "LOOKUP_TIME", 30.0)
        monkeypatch.setattr(authenticator, "CHECK_TIME", 0.2)
        assert (await sent(door, signed(MAIL, "example.org"))).startswith("451 4.4.3")
    finally:
        transport.close()


async def test_records_may_stand_elsewhere(open_with: OpenWith) -> None:
    """Services that send for a domain have it point to keys and policies of their own."""
    rows = {
        "s1._domainkey.example.org CNAME": ["k._domainkey.service.example."],
        **{f"k._domainkey.service.example {row.rpartition(' ')[2]}": texts for row, texts in KEYS.items()},
        "_dmarc.example.org CNAME": ["_dmarc.service.example."],
        **dmarc("service.example", "p=reject; adkim=s"),
    }
    door = await open_with(rows)
    assert (await sent(door, signed(MAIL, "example.org"), "x@y.example")).startswith("250")
    assert (await sent(door, MAIL, "x@y.example")).startswith("550 5.7.1")


@pytest.mark.attack(23)
@pytest.mark.parametrize(
    "mail",
    [
        MAIL.replace(b"To:", b"From: eve@eve.example\r\nTo:"),
        MAIL.replace(b"From: Bob <bob@example.org>", b"From: bob@example.org, eve@eve.example"),
        MAIL.replace(b"From: Bob <bob@example.org>", b"From: friends: bob@example.org;"),
        MAIL.replace(b"From: Bob <bob@example.org>", b"From: <>"),
        MAIL.replace(b"From: Bob <bob@example.org>", b"From: bob@ex_ample..org"),
        MAIL.replace(b"From: Bob <bob@example.org>\r\n", b""),
        b"From: eve@example.org\r\nno field\r\n" + MAIL,
        b"From: eve@example.org\r\nFrom : bob@example.org\r\n" + MAIL.partition(b"\r\n")[2],
    ],
    ids=["two fields", "two mailboxes", "group", "empty", "no domain", "none", "behind a broken line", "old spelling"],
)
async def test_from_that_does_not_name_one_mailbox(open_with: OpenWith, mail: bytes) -> None:
    door = await open_with({**SPF, **KEYS}, unverified="shared")
    assert (await sent(door, signed(mail, "example.org"))).startswith("550 5.6.0")


# --- spoofing ---------------------------------------------------------------------------------------------------


@pytest.mark.attack(23)
@pytest.mark.parametrize("tld", ["example", "internal", "com", "co.uk", "github.io"])
@pytest.mark.parametrize("policy", ["none", "reject"])
async def test_domains_under_one_suffix_are_strangers(open_with: OpenWith, tld: str, policy: str) -> None:
    """Libraries that guess where an organisation begins let `exim.example` speak for `nopol.example`."""
    victim, attacker = f"nopol.{tld}", f"exim.{tld}"
    rows = {
        **dmarc(victim, f"p={policy}"),
        **dmarc(attacker, "p=none"),
        f"{attacker} TXT": ['"v=spf1 +all"'],
        **key_rows(attacker, rsa_key()),
        **key_rows(tld, rsa_key()),
    }
    mail = MAIL.replace(b"example.org", victim.encode())
    door = await open_with(rows)
    for signer in (attacker, f"x.{attacker}", tld):
        assert (await sent(door, signed(mail, signer), f"eve@{attacker}")).startswith("550 5.7.1")
    assert (await sent(door, mail, f"eve@{attacker}")).startswith("550 5.7.1")
    assert door.ctx.taken == []


@pytest.mark.attack(23)
@pytest.mark.parametrize("marked", ["", "; psd=y"])
async def test_a_policy_of_the_suffix_joins_nobody(open_with: OpenWith, marked: str) -> None:
    rows = {
        **dmarc("github.io", f"p=reject{marked}"),
        "eve.github.io TXT": ['"v=spf1 +all"'],
        **key_rows("github.io", rsa_key()),
        **key_rows("eve.github.io", rsa_key()),
        "victim.github.io TXT": ['"v=spf1 ip4:192.0.2.1 -all"'],
    }
    mail = MAIL.replace(b"example.org", b"victim.github.io")
    door = await open_with(rows)
    for signer in ("eve.github.io", "github.io"):
        assert (await sent(door, signed(mail, signer), "eve@eve.github.io")).startswith("550 5.7.1")


ORGANISATION = {**dmarc("example.org", "p=reject"), **key_rows("mail.example.org", rsa_key())}


@pytest.mark.parametrize(
    ("rows", "author", "signer", "taken"),
    [
        (ORGANISATION, "example.org", "mail.example.org", True),
        (ORGANISATION, "sub.example.org", "mail.example.org", True),
        ({**ORGANISATION, **dmarc("example.org", "p=reject; adkim=s")}, "example.org", "mail.example.org", False),
        ({**ORGANISATION, **dmarc("example.org", "p=reject; aspf=s")}, "example.org", "mail.example.org", True),
        ({**ORGANISATION, **dmarc("mail.example.org", "p=none")}, "example.org", "mail.example.org", True),
        ({**ORGANISATION, **dmarc("mail.example.org", "p=none; psd=n")}, "example.org", "mail.example.org", False),
        (ORGANISATION, "a.b.c.d.e.f.g.h.i.example.org", "mail.example.org", True),
        (ORGANISATION, "otherexample.org", "mail.example.org", False),
    ],
)
async def test_where_an_organisation_begins(
    open_with: OpenWith, rows: Rows, author: str, signer: str, taken: bool
) -> None:
    door = await open_with({**rows, **dmarc("otherexample.org", "p=none")})
    mail = signed(MAIL.replace(b"example.org", author.encode()), signer)
    assert (await sent(door, mail, "x@elsewhere.example")).startswith("250" if taken else "550 5.7.1")


@pytest.mark.parametrize(
    ("tags", "exists", "shared"),
    [
        ("p=reject; sp=none", True, True),
        ("p=none; sp=reject", True, False),
        ("p=none; np=reject", True, True),
        ("p=none; np=reject", False, False),
    ],
)
async def test_policies_for_subdomains(open_with: OpenWith, tags: str, exists: bool, shared: bool) -> None:
    rows = dmarc("example.org", tags) | ({"sub.example.org A": ["192.0.2.1"]} if exists else {})
    door = await open_with(rows, unverified="shared")
    reply = await sent(door, MAIL.replace(b"example.org", b"sub.example.org"), "eve@eve.example")
    assert reply.startswith("250" if shared else "550 5.7.1")


@pytest.mark.attack(23)
async def test_own_names_do_not_come_from_outside(open_with: OpenWith) -> None:
    door = await open_with({"gw.example TXT": ['"v=spf1 +all"']}, unverified="shared")
    mail = MAIL.replace(b"bob@example.org", b"alice.eth@gw.example")
    assert (await sent(door, mail, "alice.eth@gw.example")).startswith("550 5.7.1")


async def test_the_usual_mail_takes_three_look_ups(open_with: OpenWith) -> None:
    """Policy, SPF and key; who runs the suffix, and whether their DNS works, does not matter."""
    zone = Zone({**REJECT, **SPF, **KEYS}, frozenset({"_dmarc.org"}))
    async with dns_server(zone) as server:
        door = await open_with({}, dns_servers=(server,))
        for _ in range(3):
            assert (await sent(door, signed(MAIL, "example.org"))).startswith("250")
    assert sorted(zone.asked) == ["_dmarc.example.org TXT", "example.org TXT", "s1._domainkey.example.org TXT"]


@pytest.mark.attack(23)
async def test_a_name_that_is_another_address(open_with: OpenWith) -> None:
    """What is proved is the address; the name beside it is whatever its owner likes, so it must not look like one."""
    door = await open_with({**dmarc("eve.example", "p=reject"), "eve.example TXT": ['"v=spf1 +all"']})
    mail = MAIL.replace(b"Bob <bob@example.org>", b'"Bob <bob@example.org>" <eve@eve.example>')
    assert (await sent(door, mail, "eve@eve.example")).startswith("250")
    assert door.ctx.taken[0].sender == Person(CanonicalId("eve@eve.example"), "")


async def test_two_walks_at_most_eight_look_ups_each(open_with: OpenWith) -> None:
    zone = Zone({**dmarc("example.org", "p=reject"), **key_rows("s.example.org", rsa_key())})
    async with dns_server(zone) as server:
        door = await open_with({}, dns_servers=(server,))
        author = ".".join("abcdefghijklmnopqr") + ".example.org"
        mail = signed(MAIL.replace(b"example.org", author.encode()), "s.example.org")
        assert (await sent(door, mail, "x@elsewhere.example")).startswith("250")
    assert len([each for each in zone.asked if each.startswith("_dmarc.")]) <= 10


# --- signatures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [rsa_key(), rsa_key(1024), ed25519_key()], ids=["RSA 2048", "RSA 1024", "Ed25519"])
@pytest.mark.parametrize("forms", [(Form.SIMPLE, Form.SIMPLE), (Form.RELAXED, Form.RELAXED)], ids=["simple", "relaxed"])
async def test_kinds_of_signatures(open_with: OpenWith, key: Key, forms: tuple[Form, Form]) -> None:
    door = await open_with({**REJECT, **key_rows("example.org", key)})
    assert (await sent(door, signed(MAIL, "example.org", key, forms=forms), "x@y.example")).startswith("250")


async def test_any_signature_that_passes_will_do(open_with: OpenWith) -> None:
    """Broken ones, ones of others and one without a key beside it change nothing."""
    door = await open_with({**REJECT, **KEYS, **key_rows("list.example", ed25519_key())})
    mail = signed(MAIL, "example.org")
    mail = signed(mail, "example.org", ed25519_key())
    mail = signed(mail, "example.org", selector="nokey")
    for number in range(20):
        mail = signed(mail, f"d{number}.example", ed25519_key())
    mail = signed(mail, "list.example", ed25519_key())
    assert (await sent(door, b"DKIM-Signature: nonsense\r\n" + mail, "x@list.example")).startswith("250")


@pytest.mark.attack(23)
@pytest.mark.parametrize(
    "change",
    [
        (b"hello", b"hullo"),
        (b"Subject: x", b"Subject: y"),
        (b"Bob <bob", b"Bob <rob"),
        (b"From: Bob", b"From: Rob"),
    ],
)
async def test_a_signature_of_another_text(open_with: OpenWith, change: tuple[bytes, bytes]) -> None:
    door = await open_with({**REJECT, **KEYS})
    assert (await sent(door, signed(MAIL, "example.org").replace(*change), "x@y.example")).startswith("550 5.7.1")


@pytest.mark.attack(23)
@pytest.mark.parametrize(
    "above",
    [
        b"From: Alice <alice@example.org>\r\n",
        b"From: Alice <alice@example.org>\r\nno field at all\r\n",
        b"Subject: send me money\r\n",
        b"Subject: send me money\r\nno field at all\r\n",
        b"To: somebody@else.example\r\n",
    ],
)
async def test_a_signed_mail_with_something_put_above_it(open_with: OpenWith, above: bytes) -> None:
    """Whoever got one signed mail of a large domain has the means to write as everybody there, if this passed."""
    door = await open_with({**REJECT, **KEYS})
    mail = signed(MAIL, "example.org", names="from:to:subject")
    assert (await sent(door, mail, "x@y.example")).startswith("250")
    assert (await sent(door, above + mail, "x@y.example")).startswith("550 5.")
    assert speakers(door) == [BOB]


@pytest.mark.attack(23)
async def test_a_part_of_the_body_is_not_enough(open_with: OpenWith) -> None:
    door = await open_with({**REJECT, **KEYS})
    mail = signed(MAIL, "example.org", extra="l=7; ") + b"and what somebody added\r\n"
    assert (await sent(door, mail, "x@y.example")).startswith("550 5.7.1")


@pytest.mark.parametrize("record", ["v=DKIM1; p=", "v=DKIM1; k=rsa; p=AAAA", "v=DKIM1; t=s; "])
async def test_keys_that_prove_nothing(open_with: OpenWith, record: str) -> None:
    own = key_rows("example.org", rsa_key())["s1._domainkey.example.org TXT"][0]
    text = own.replace("v=DKIM1; ", record) if record.endswith("s; ") else f'"{record}"'
    door = await open_with({**REJECT, "s1._domainkey.example.org TXT": [text]})
    mail = signed(MAIL, "example.org", extra="i=@sub.example.org; ")
    assert (await sent(door, mail, "x@y.example")).startswith("550 5.7.1")


async def test_a_large_signed_mail(open_with: OpenWith) -> None:
    door = await open_with({**REJECT, **KEYS})
    mail = signed(MAIL + b"abcdefgh abc\r\n" * 700_000, "example.org")
    assert (await sent(door, mail, "x@y.example")).startswith("250")
    assert speakers(door) == [BOB]


# --- the null sender --------------------------------------------------------------------------------------------


async def bounce(door: Door, author: str) -> str:
    path = ReturnPath("gw.example", b"\xab" * 32).address(MessageHash("0x" + "cd" * 32), door.ctx.now_ms())
    async with door.talk(greet=False) as talk:
        await talk.reply()
        await talk.say("EHLO mx.example.org")
        await talk.say("MAIL FROM:<>")
        assert (await talk.say(f"RCPT TO:<{path}>")).startswith("250")
        await talk.say("DATA")
        await talk.send(f"From: {author}\r\nSubject: x\r\n\r\nno such user\r\n.\r\n".encode())
        return await talk.reply()


async def test_bounces_are_checked_by_the_greeting(open_with: OpenWith, tmp_path: Path) -> None:
    """SPF for the null sender is about postmaster of the greeting's domain, and aligned with From or not."""
    (tmp_path / "key").write_text("ab" * 32)
    rows = {
        **REJECT,
        "mx.example.org TXT": ['"v=spf1 exists:%{l}.x.example -all"'],
        "postmaster.x.example A": ["127.0.0.1"],
        **dmarc("victim.example", "p=reject"),
        **dmarc("lax.example", "p=none"),
    }
    door = await open_with(rows, return_path_key_file=tmp_path / "key")
    assert (await bounce(door, "mailer-daemon@example.org")).startswith("250")
    assert (await bounce(door, "mailer-daemon@mx.example.org")).startswith("250")
    assert (await bounce(door, "mailer-daemon@victim.example")).startswith("550 5.7.1")
    assert (await bounce(door, "mailer-daemon@lax.example")).startswith("250")
    assert (await bounce(door, "mailer-daemon@nodmarc.example")).startswith("250")
    assert (await bounce(door, "MAILER-DAEMON")).startswith("250")


async def test_bounces_while_the_dns_is_down(open_with: OpenWith, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("ab" * 32)
    door = await open_with({}, frozenset({"_dmarc.example.org"}), return_path_key_file=tmp_path / "key")
    assert (await bounce(door, "mailer-daemon@example.org")).startswith("451 4.4.3")


# --- servers of ours in front, forwarders, the trace ------------------------------------------------------------

IN_FRONT = {"allowed_networks": ("127.0.0.0/8",), "trusted_servers": ("mx.gw.example",)}


def reported(results: str, server: str = "mx.gw.example") -> bytes:
    return f"Authentication-Results: {server}; {results}\r\n".encode() + MAIL


@pytest.mark.parametrize(
    ("mail", "reply"),
    [
        (reported("spf=pass smtp.mailfrom=bob@example.org"), "250"),
        (reported("dkim=pass header.d=example.org"), "250"),
        (reported("dmarc=pass header.from=example.org"), "250"),
        (reported("spf=pass smtp.helo=example.org"), "250"),
        (reported("dmarc=pass header.from=eve.example"), "550 5.7.1"),
        (reported("spf=pass smtp.mailfrom=eve.example; dkim=pass header.d=eve.example"), "550 5.7.1"),
        (reported("spf=fail smtp.mailfrom=example.org; dkim=fail header.d=example.org"), "550 5.7.1"),
        (reported("spf=temperror smtp.mailfrom=example.org"), "451 4.4.3"),
        (reported("none"), "550 5.7.1"),
        (reported("dmarc=pass header.from=example.org", "mx.elsewhere.example"), "550 5.7.1"),
        (MAIL, "550 5.7.1"),
        (signed(MAIL, "example.org"), "250"),
    ],
)
async def test_what_a_server_in_front_found(open_with: OpenWith, mail: bytes, reply: str) -> None:
    # SPF of the server in front would pass, and says nothing about whoever wrote to it.
    door = await open_with({**REJECT, **KEYS, "example.org TXT": ['"v=spf1 +all"']}, **IN_FRONT)
    assert (await sent(door, mail)).startswith(reply)


@pytest.mark.attack(23)
async def test_a_stranger_reports_nothing(open_with: OpenWith) -> None:
    door = await open_with(REJECT, trusted_servers=("mx.gw.example",))
    assert (await sent(door, reported("dmarc=pass header.from=example.org"))).startswith("550 5.7.1")


async def test_the_list_goes_on_working(open_with: OpenWith) -> None:
    """Without a look at the mail, from the operator's networks only."""
    door = await open_with(REJECT, allowed_networks=("127.0.0.0/8",), allowed_senders=("example.org",))
    assert (await sent(door, MAIL)).startswith("250")
    assert (await sent(door, MAIL, "eve@eve.example")).startswith("550 5.7.1")
    door = await open_with(REJECT, allowed_senders=("example.org",))
    assert (await sent(door, MAIL)).startswith("550 5.7.1")


async def test_only_the_list(open_with: OpenWith) -> None:
    door = await open_with({**SPF, **REJECT}, senders="listed")
    async with door.talk() as talk:
        assert (await talk.say(f"MAIL FROM:<{BOB}>")).startswith("550 5.7.1")


FORWARDED = sealed(
    signed(MAIL, "example.org").replace(b"hello", b"hello from the list"),
    "list.example",
    "list.example; dmarc=pass header.from=example.org",
)
LISTS = {**key_rows("list.example", rsa_key()), **key_rows("eve.example", rsa_key()), **REJECT, **KEYS}


@pytest.mark.attack(23)
@pytest.mark.parametrize(
    ("mail", "reply"),
    [
        (FORWARDED, "250"),
        (FORWARDED.replace(b"from the list", b"from somebody else"), "550 5.7.1"),
        (FORWARDED.replace(b"header.from=example.org", b"header.from=example.com"), "550 5.7.1"),
        (sealed(MAIL, "list.example", "list.example; dmarc=fail header.from=example.org"), "550 5.7.1"),
        (sealed(MAIL, "list.example", "list.example; dmarc=pass header.from=eve.example"), "550 5.7.1"),
        (sealed(MAIL, "eve.example", "list.example; dmarc=pass header.from=example.org"), "550 5.7.1"),
        (sealed(FORWARDED, "list.example", "list.example; arc=pass", number=2), "250"),
        (sealed(FORWARDED, "eve.example", "list.example; dmarc=pass header.from=example.org", number=2), "550 5.7.1"),
        (
            sealed(
                sealed(MAIL, "eve.example", "x; dmarc=pass header.from=example.org"),
                "list.example",
                "y; arc=pass",
                number=2,
            ),
            "550 5.7.1",
        ),
        (sealed(FORWARDED, "list.example", "list.example; arc=pass", number=3), "550 5.7.1"),
        (sealed(FORWARDED, "list.example", "list.example; arc=pass", number=2, cv="fail"), "550 5.7.1"),
        (sealed(FORWARDED, "list.example", "list.example; arc=pass", number=1), "550 5.7.1"),
        (FORWARDED.replace(b"ARC-Seal: i=1", b"ARC-Seal: i=one"), "550 5.7.1"),
    ],
    ids=[
        "a listed forwarder",
        "changed behind it",
        "changed results",
        "saw a fail",
        "saw another domain",
        "a stranger",
        "two listed ones",
        "a stranger last",
        "a stranger first",
        "a gap",
        "a broken chain",
        "the same twice",
        "no number",
    ],
)
async def test_forwarders(open_with: OpenWith, mail: bytes, reply: str) -> None:
    door = await open_with(LISTS, trusted_forwarders=("list.example",))
    assert (await sent(door, mail, "list@list.example")).startswith(reply)


async def test_forwarders_are_not_believed_unless_listed(open_with: OpenWith) -> None:
    zone = Zone(LISTS)
    async with dns_server(zone) as server:
        door = await open_with({}, dns_servers=(server,))
        assert (await sent(door, FORWARDED, "list@list.example")).startswith("550 5.7.1")
    assert "s1._domainkey.list.example TXT" not in zone.asked


async def test_a_forwarder_whose_key_cannot_be_asked_for(open_with: OpenWith) -> None:
    door = await open_with(LISTS, frozenset({"s1._domainkey.list.example"}), trusted_forwarders=("list.example",))
    assert (await sent(door, FORWARDED, "list@list.example")).startswith("451 4.4.3")


async def test_the_log_says_what_was_found_and_names_nobody(
    open_with: OpenWith, capsys: pytest.CaptureFixture[str]
) -> None:
    door = await open_with({**REJECT, **KEYS, **SPF})
    capsys.readouterr()
    await sent(door, signed(MAIL, "example.org"))
    await sent(door, MAIL, "eve@eve.example")
    log = capsys.readouterr().out
    good, bad = (next(line for line in log.splitlines() if event in line) for event in ("mail.taken", "mail.not_a"))
    assert all(word in good for word in ("assurance=dmarc", "spf=pass", "dkim=pass", "dmarc=pass"))
    assert all(word in bad for word in ("spf=none", "dkim=none", "dmarc=fail", "policy=reject"))
    assert "example.org" not in log
    assert "eve.example" not in log


async def test_a_sender_with_a_name_outside_ascii(open_with: OpenWith) -> None:
    rows = {"xn--bcher-kva.example TXT": ['"v=spf1 ip4:127.0.0.1 -all"'], **dmarc("xn--bcher-kva.example", "p=reject")}
    door = await open_with(rows)
    async with door.talk() as talk:
        await talk.say("MAIL FROM:<jörg@bücher.example> SMTPUTF8")
        await talk.say("RCPT TO:<alice.eth@gw.example>")
        await talk.say("DATA")
        await talk.send("From: jörg@bücher.example\r\n\r\nhello\r\n.\r\n".encode())
        assert (await talk.reply()).startswith("250")
    assert speakers(door) == ["jörg@xn--bcher-kva.example"]
