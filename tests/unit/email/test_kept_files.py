"""Files behind links: whole, encrypted, bounded, gone in time."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest

from adapters.email.kept_files import DAY_MS, DAYS_KIND, KIND, OWNERS_KIND, PIECE, PIECES_KIND, KeptFile, KeptFiles
from gateway.sdk import CanonicalId, LimitExceeded, Unavailable, Value
from gateway.sdk.testing.context import MemoryValues

BOB = CanonicalId("bob@example.net")
NOW = 1_800_000_000_000
SECRET = b"nobody may read this" * 30_000


class Clock:
    now = NOW

    def __call__(self) -> int:
        return self.now


async def blocks(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


async def content(files: KeptFiles, kept: KeptFile) -> bytes:
    description = await files.describe(kept.key)
    assert description is not None
    return b"".join([piece async for piece in files.read(kept.key, description)])


def make(values: MemoryValues, *, max_bytes: int = 10**7, clock: Clock | None = None) -> KeptFiles:
    return KeptFiles(values, clock or Clock(), max_bytes)


@pytest.mark.parametrize("data", [b"", b"x", SECRET, SECRET[:PIECE], SECRET[: 2 * PIECE]])
async def test_a_file_comes_back(data: bytes) -> None:
    files = make(MemoryValues())
    kept = await files.keep("a.txt", "text/plain", blocks(data), of=BOB, until=NOW + DAY_MS)
    description = await files.describe(kept.key)
    assert description is not None
    assert (description.name, description.media_type, description.size) == ("a.txt", "text/plain", len(data))
    assert await content(files, kept) == data


async def test_the_database_alone_tells_nothing() -> None:
    values = MemoryValues()
    kept = await make(values).keep("secret name.txt", "text/plain", blocks(SECRET), of=BOB, until=NOW)
    for (kind, key), text in values.texts.items():
        raw = text.encode() if kind in (DAYS_KIND, OWNERS_KIND) else base64.b64decode(text)
        assert b"secret name" not in raw
        assert b"nobody" not in raw
        assert kept.key not in raw
        assert kept.key.hex() not in key
    assert await make(values).describe(b"\0" * 16) is None


async def test_pieces_cannot_be_exchanged() -> None:
    values = MemoryValues()
    files = make(values)
    kept = await files.keep("a", "b/c", blocks(SECRET), of=BOB, until=NOW)
    first, second = sorted(key for kind, key in values.texts if kind == PIECES_KIND)[:2]
    texts = values.texts
    texts[PIECES_KIND, first], texts[PIECES_KIND, second] = texts[PIECES_KIND, second], texts[PIECES_KIND, first]
    with pytest.raises(EOFError):
        await content(files, kept)


async def test_a_given_key_is_written_once_and_keeps_its_time() -> None:
    values = MemoryValues()
    files = make(values)
    first = await files.keep("a", "b/c", blocks(b"x"), of=BOB, until=NOW + DAY_MS, key=b"k" * 16)
    again = await files.keep("a", "b/c", blocks(b"x"), of=BOB, until=NOW + 5 * DAY_MS, key=b"k" * 16)
    assert again == first
    assert len(values.texts) == 4


async def test_there_is_a_bound_for_all_together() -> None:
    values = MemoryValues()
    files = make(values, max_bytes=1_000_000)
    await files.keep("a", "b/c", blocks(SECRET[:500_000]), of=BOB, until=NOW + DAY_MS)
    before = dict(values.texts)
    with pytest.raises(LimitExceeded):
        await files.keep("a", "b/c", blocks(SECRET), of=BOB, until=NOW + DAY_MS)
    assert {key: text for key, text in values.texts.items() if key[0] != DAYS_KIND} == {
        key: text for key, text in before.items() if key[0] != DAYS_KIND
    }
    await files.keep("a", "b/c", blocks(SECRET[:400_000]), of=BOB, until=NOW + DAY_MS)
    # Another node counts what is there.
    with pytest.raises(LimitExceeded):
        await make(values, max_bytes=1_000_000).keep("a", "b/c", blocks(SECRET[:200_000]), of=BOB, until=NOW)


async def test_files_go_when_their_day_is_over() -> None:
    values, clock = MemoryValues(), Clock()
    files = make(values, clock=clock)
    short = await files.keep("a", "b/c", blocks(SECRET), of=BOB, until=NOW + DAY_MS)
    long = await files.keep("a", "b/c", blocks(SECRET), of=BOB, until=NOW + 9 * DAY_MS)
    clock.now += DAY_MS
    assert await files.forget_old() == 0
    clock.now += DAY_MS
    assert await files.forget_old() == 1
    assert await files.describe(short.key) is None
    assert await content(files, long) == SECRET
    clock.now += 9 * DAY_MS
    assert await files.forget_old() == 1
    assert values.texts == {}


async def test_what_was_broken_off_goes_too() -> None:
    values, clock = MemoryValues(), Clock()
    files = make(values, clock=clock)
    # As a crash leaves it: no description, and nobody knows how many pieces.
    await values.put(Value(DAYS_KIND, f"{NOW // DAY_MS:06d}.abc", ""))
    await values.put(*(Value(PIECES_KIND, f"abc.{number:06d}", "x") for number in range(10)))
    clock.now += 2 * DAY_MS
    assert await files.forget_old() == 1
    assert values.texts == {}


async def test_nothing_stays_of_a_file_that_failed_or_is_forgotten() -> None:
    values = MemoryValues()
    files = make(values)

    async def failing() -> AsyncIterator[bytes]:
        yield SECRET
        raise Unavailable("no more")

    with pytest.raises(Unavailable):
        await files.keep("a", "b/c", failing(), of=BOB, until=NOW)
    assert {kind for kind, _ in values.texts} <= {DAYS_KIND}
    kept = await files.keep("a", "b/c", blocks(SECRET), of=BOB, until=NOW + DAY_MS)
    await files.forget(kept)
    await files.forget(kept)
    assert not {kind for kind, _ in values.texts} & {KIND, PIECES_KIND}


async def test_a_file_goes_with_whoever_it_belongs_to() -> None:
    values = MemoryValues()
    files = make(values)
    bobs = await files.keep("a", "b/c", blocks(SECRET), of=BOB, until=NOW + DAY_MS)
    others = await files.keep("a", "b/c", blocks(SECRET), of=CanonicalId("carol@example.net"), until=NOW + DAY_MS)
    # What the deletion of a person removes: values whose content names them.
    (owned,) = [key for (kind, key), text in values.texts.items() if kind == OWNERS_KIND and BOB in text]
    await values.put(Value(OWNERS_KIND, owned, None))
    assert await files.describe(bobs.key) is None
    assert await files.forget_old() == 1
    assert await content(files, others) == SECRET
    await files.forget(others)
    assert not {kind for kind, _ in values.texts} & {KIND, PIECES_KIND, OWNERS_KIND}
