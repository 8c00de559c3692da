"""The load generator for SMTP: every mail arrives as it was written, once, and what is refused is told."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from pathlib import Path

import pytest

from gateway.ids import EnsName
from tests.bench.load import write_requests
from tests.bench.mail import AUTHORS, Kind, Post, large_mail, text_mail
from tests.bench.smtp_load import Connection, Letter, Outcome, read_letters, run
from tests.integration.email.peers import Mailbox, mail_server


def letters(*subjects: bytes, rest: bytes = b".\r\n") -> list[Letter]:
    commands = b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"
    return [Letter(commands, b"Subject: %s\r\n\r\n..dot\r\n" % subject, rest) for subject in subjects]


def contents(mailbox: Mailbox) -> list[bytes]:
    return [envelope.original_content or b"" for envelope in mailbox.envelopes]


async def sent(mailbox: Mailbox, mails: list[Letter], connections: int) -> Outcome:
    async with mail_server(mailbox) as port:

        def work() -> Outcome:
            opened = [Connection("127.0.0.1", port) for _ in range(connections)]
            try:
                return run(opened, iter(mails))
            finally:
                for each in opened:
                    each.close()

        return await asyncio.to_thread(work)


@pytest.mark.parametrize("connections", [1, 3, 9])
async def test_mails_arrive_once(connections: int) -> None:
    mailbox = Mailbox()
    outcome = await sent(mailbox, letters(*(b"%d" % number for number in range(7))), connections)
    assert sorted(mail["Subject"] for mail in mailbox.mails) == [str(number) for number in range(7)]
    assert {content.partition(b"\r\n\r\n")[2] for content in contents(mailbox)} == {b".dot\r\n"}
    assert len(outcome.latencies) == 7
    assert outcome.seconds > 0
    assert not outcome.refused


@pytest.mark.parametrize(("command", "reply"), [("MAIL", "550 no"), ("RCPT", "451 later"), ("DATA", "554 bad")])
async def test_what_is_refused_is_told(command: str, reply: str) -> None:
    mailbox = Mailbox(answers={command: reply})
    outcome = await sent(mailbox, letters(b"1", b"2", b"3"), 2)
    assert outcome.refused == [reply] * 3
    assert len(outcome.latencies) == 3


async def test_a_large_mail_goes_in_blocks() -> None:
    mailbox = Mailbox()
    outcome = await sent(mailbox, letters(b"1", b"2", rest=b"x" * 900 + b"\r\n.\r\n"), 2)
    assert not outcome.refused
    assert all(len(content) > 900 for content in contents(mailbox))


async def test_mails_are_signed_and_each_is_another_one(tmp_path: Path) -> None:
    post = Post(2, [EnsName("alice.eth"), EnsName("bob.eth")])
    mails = read_letters(*post.write([text_mail()], 5, tmp_path, "text"))
    assert len(mails) == 5
    wholes = [message_from_bytes(each.beginning + each.rest) for each in mails]
    assert len({whole["Message-ID"] for whole in wholes}) == 5
    assert {whole["From"].partition("<")[2] for whole in wholes} == {
        f"{who}@{AUTHORS}>" for who in ("person0", "person1")
    }
    assert all(f"d={AUTHORS}" in whole["DKIM-Signature"] for whole in wholes)
    assert len({each.rest for each in mails}) == 1
    assert len(mails[0].beginning + mails[0].rest) == pytest.approx(2048, rel=0.1)


def test_mails_of_several_kinds_take_turns(tmp_path: Path) -> None:
    kinds = [Kind("X-Kind: a", b".a\r\n"), Kind("X-Kind: b", b"b\r\n.\r\n")]
    mails = read_letters(*Post(1, [EnsName("alice.eth")]).write(kinds, 3, tmp_path, "kinds"))
    assert [each.beginning.partition(b"\r\n\r\n")[2] for each in mails] == [b"..a\r\n", b"b\r\n..\r\n", b"..a\r\n"]
    assert {each.rest for each in mails} == {b".\r\n"}


def test_a_large_mail_is_as_large_as_it_says() -> None:
    assert len(large_mail(5_000_000).body) == pytest.approx(5_000_000, rel=0.01)


def test_half_a_letter_is_none(tmp_path: Path) -> None:
    write_requests([b"MAIL"], tmp_path / "letters")
    (tmp_path / "rest").write_bytes(b".\r\n")
    with pytest.raises(ValueError, match="shorter"):
        read_letters(tmp_path / "letters", tmp_path / "rest")
