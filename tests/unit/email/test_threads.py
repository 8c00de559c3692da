"""What is remembered of mails: subjects and references, encrypted, for half a year."""

from __future__ import annotations

import base64

from adapters.email.threads import DAY_MS, DAYS_KEPT, MAX_LOOKED_AT, MAX_REFERENCES, ThreadMail, Threads
from gateway.sdk import CanonicalId, NativeId
from gateway.sdk.testing.context import MemoryValues

NOW = 1_800_000_000_000
BOB, MALLORY = CanonicalId("bob@example.net"), CanonicalId("mallory@example.net")
FIRST, SECOND = NativeId("<1@x>"), NativeId("<2@x>")


async def test_mails_are_remembered() -> None:
    values = MemoryValues()
    threads = Threads(values, b"k" * 32, lambda: NOW)
    mail = ThreadMail(SECOND, "Grüße \U0001f600", (FIRST,))
    await threads.remember(BOB, mail)
    assert await threads.find(BOB, [FIRST, SECOND]) == mail
    assert await threads.find(BOB, [FIRST]) is None
    assert await threads.find(BOB, [NativeId(f"<{number}@y>") for number in range(MAX_LOOKED_AT)] + [SECOND]) is None
    assert not any("Grü" in text or "@x" in key + text for (_, key), text in values.texts.items())
    assert "Grü".encode() not in base64.b64decode(next(text for text in values.texts.values() if text))


async def test_under_another_seed_a_mail_is_known_and_no_more() -> None:
    values = MemoryValues()
    await Threads(values, b"k" * 32, lambda: NOW).remember(BOB, ThreadMail(FIRST, "secret"))
    assert await Threads(values, b"l" * 32, lambda: NOW).find(BOB, [FIRST]) == ThreadMail(FIRST)


async def test_each_person_has_their_own() -> None:
    """Who saw a Message-ID may write a mail that has it, too."""
    threads = Threads(MemoryValues(), b"k" * 32, lambda: NOW)
    await threads.remember(BOB, ThreadMail(FIRST, "his"))
    assert await threads.find(MALLORY, [FIRST]) is None
    await threads.remember(MALLORY, ThreadMail(FIRST, "hers"))
    assert await threads.find(BOB, [FIRST]) == ThreadMail(FIRST, "his")
    assert await threads.find(MALLORY, [FIRST]) == ThreadMail(FIRST, "hers")


async def test_what_is_old_is_forgotten() -> None:
    values = MemoryValues()
    await Threads(values, b"k" * 32, lambda: NOW).remember(BOB, ThreadMail(FIRST, "old"))
    later = Threads(values, b"k" * 32, lambda: NOW + (DAYS_KEPT + 1) * DAY_MS)
    await later.remember(BOB, ThreadMail(SECOND, "new"))
    assert await later.forget_old() == 1
    assert await later.find(BOB, [FIRST]) is None
    assert await later.find(BOB, [SECOND]) == ThreadMail(SECOND, "new")


def test_references_of_an_answer() -> None:
    ids = tuple(NativeId(f"<{number}@x>") for number in range(50))
    assert ThreadMail(SECOND, "", (FIRST,)).references_of_answer == (FIRST, SECOND)
    assert ThreadMail(SECOND, "", (FIRST, SECOND)).references_of_answer == (FIRST, SECOND)
    long = ThreadMail(NativeId("<end@x>"), "", ids).references_of_answer
    assert (len(long), long[0], long[-1]) == (MAX_REFERENCES, "<0@x>", "<end@x>")
    assert ThreadMail(NativeId("sha256:abc"), "", (FIRST, NativeId("<=?utf-8?q?x?=@x>"))).references_of_answer == (
        FIRST,
    )
