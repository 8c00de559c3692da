"""Files behind links of ours: what is too large for a DM3 message or a mail, and originals of which something was cut.

Several nodes share nothing but the database, so a file lies there in pieces, among the adapter's own values. Each is
encrypted with a key of its own that stands in its link and nowhere else: whoever reads the database or a backup of it
reads no file.

Each belongs to a person, in a value that is about them: when they are deleted it goes with all others about them, and
with it the file, for its link at once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from dataclasses import asdict, dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.sdk import CanonicalId, LimitExceeded, Value, Values

KIND: Final = "file"
PIECES_KIND: Final = "file piece"
DAYS_KIND: Final = "file day"
"""When files go, and how many pieces they have: ``<day>.<id>``."""
OWNERS_KIND: Final = "file of"
"""Whose a file is, by its id."""
KEY_BYTES: Final = 16
PIECE: Final = 192 * 1024
"""Bytes of a file in one value."""
DAY_MS: Final = 24 * 3600 * 1000
_AT_ONCE: Final = 200
_ABOUT: Final = -1
"""Stands for the description where pieces have their number."""
_NONCE: Final = 12


@dataclass(frozen=True, slots=True)
class FileDescription:
    """What a file is called, and how much of it there is."""

    name: str
    media_type: str
    size: int
    pieces: int
    until: int
    """Milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """What a link is made of."""

    key: bytes = field(repr=False)
    until: int


class KeptFiles:
    """Files until their time is over."""

    def __init__(self, values: Values, now_ms: Callable[[], int], max_bytes: int) -> None:
        """`max_bytes` of all files together; more are not taken."""
        self._values = values
        self._now_ms = now_ms
        self._max_bytes = max_bytes
        self._bytes: int | None = None

    async def keep(
        self,
        name: str,
        media_type: str,
        blocks: AsyncIterable[bytes],
        *,
        of: CanonicalId,
        until: int,
        key: bytes | None = None,
    ) -> KeptFile:
        """Write a file of somebody's down, under a new key or a given one, which is made of all that is given here.

        A file that is there already stays as it is, and with it its time. Raises LimitExceeded when there is no room,
        and Unavailable; nothing is left of the file then, at the latest when its day is over.
        """
        known = None if key is None else await self.describe(key)
        if key is not None and known is not None:
            return KeptFile(key, known.until)
        key = key or secrets.token_bytes(KEY_BYTES)
        id, cipher = _id(key), AESGCM(key)
        size = pieces = 0
        await self._values.put(
            Value(DAYS_KIND, _day_key(until, id), ""), Value(OWNERS_KIND, id, json.dumps({"of": of}))
        )
        try:
            async for piece in _pieces(blocks):
                await self._check_room(len(piece))
                await self._values.put(Value(PIECES_KIND, _piece_key(id, pieces), _sealed(cipher, pieces, piece)))
                size, pieces = size + len(piece), pieces + 1
            about = json.dumps(asdict(FileDescription(name, media_type, size, pieces, until))).encode()
            await self._values.put(
                Value(KIND, id, _sealed(cipher, _ABOUT, about)),
                Value(DAYS_KIND, _day_key(until, id), json.dumps({"pieces": pieces, "size": size})),
            )
        except BaseException:
            await self._remove(id, pieces + 1, size)
            raise
        return KeptFile(key, until)

    async def forget(self, file: KeptFile) -> None:
        """Remove a file before its time."""
        description = await self.describe(file.key)
        if description is not None:
            await self._remove(_id(file.key), description.pieces, description.size)
            await self._values.put(Value(DAYS_KIND, _day_key(file.until, _id(file.key)), None))

    async def describe(self, key: bytes) -> FileDescription | None:
        """What is behind a key; None when nothing is."""
        text = await self._values.get(KIND, _id(key))
        if text is None or await self._values.get(OWNERS_KIND, _id(key)) is None:
            return None
        return FileDescription(**json.loads(_opened(AESGCM(key), _ABOUT, text)))

    async def read(self, key: bytes, description: FileDescription) -> AsyncGenerator[bytes]:
        """The file in pieces; raises EOFError when it goes meanwhile."""
        cipher = AESGCM(key)
        for number in range(description.pieces):
            text = await self._values.get(PIECES_KIND, _piece_key(_id(key), number))
            if text is None:
                raise EOFError("the file is not kept any more")
            yield _opened(cipher, number, text)

    async def forget_old(self) -> int:
        """Remove what is over, and what belongs to nobody any more; how many files."""
        removed = await self._forget_orphans()
        today = self._now_ms() // DAY_MS
        while True:
            rows = await self._values.find(DAYS_KIND, limit=_AT_ONCE)
            old = [row for row in rows if int(row.key.partition(".")[0]) < today]
            for row in old:
                await self._forget_row(row)
            removed += len(old)
            if not old:
                self._bytes = await self._count()
                return removed

    async def _forget_orphans(self) -> int:
        # The days are read first: a file that begins meanwhile has its owner by then, or is not among them.
        rows = await self._all(DAYS_KIND)
        owned = {row.key for row in await self._all(OWNERS_KIND)}
        orphans = [row for row in rows if row.key.partition(".")[2] not in owned]
        for row in orphans:
            await self._forget_row(row)
        return len(orphans)

    async def _forget_row(self, row: Value) -> None:
        known = json.loads(row.text or "{}")
        await self._remove(row.key.partition(".")[2], known.get("pieces"), known.get("size", 0))
        await self._values.put(Value(DAYS_KIND, row.key, None))

    async def _all(self, kind: str) -> list[Value]:
        found: list[Value] = []
        while rows := await self._values.find(kind, after=found[-1].key if found else "", limit=1000):
            found += rows
        return found

    async def _check_room(self, size: int) -> None:
        if self._bytes is None:
            self._bytes = await self._count()
        if self._bytes + size > self._max_bytes:
            raise LimitExceeded("there is no room for more files behind links")
        self._bytes += size

    async def _count(self) -> int:
        return sum(json.loads(row.text or "{}").get("size", 0) for row in await self._all(DAYS_KIND))

    async def _remove(self, id: str, pieces: int | None, size: int) -> None:
        await self._values.put(Value(KIND, id, None), Value(OWNERS_KIND, id, None))
        if pieces is None:
            # Broken off by a crash: how many there are stands nowhere.
            while rows := await self._values.find(PIECES_KIND, f"{id}.", limit=4):
                await self._values.put(*(Value(PIECES_KIND, row.key, None) for row in rows))
        for number in range(pieces or 0):
            await self._values.put(Value(PIECES_KIND, _piece_key(id, number), None))
        if self._bytes is not None:
            self._bytes = max(0, self._bytes - size)


async def _pieces(blocks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    held = b""
    async for block in blocks:
        held += block
        while len(held) >= PIECE:
            yield held[:PIECE]
            held = held[PIECE:]
    if held:
        yield held


def _sealed(cipher: AESGCM, number: int, data: bytes) -> str:
    nonce = os.urandom(_NONCE)
    return base64.b64encode(nonce + cipher.encrypt(nonce, data, str(number).encode())).decode()


def _opened(cipher: AESGCM, number: int, text: str) -> bytes:
    raw = base64.b64decode(text)
    try:
        return cipher.decrypt(raw[:_NONCE], raw[_NONCE:], str(number).encode())
    except InvalidTag as error:
        raise EOFError("the file was changed where it is kept") from error


def _id(key: bytes) -> str:
    return hashlib.sha256(b"dm3-gateway email file\0" + key).hexdigest()[:32]


def _piece_key(id: str, number: int) -> str:
    return f"{id}.{number:06d}"


def _day_key(until: int, id: str) -> str:
    return f"{until // DAY_MS:06d}.{id}"
