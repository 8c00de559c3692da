"""Files of a DM3 message that are too large for a mail: kept here for some days, with a link in the mail."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from adapters.email.kept_files import DAY_MS, KEY_BYTES, PIECE, KeptFiles
from adapters.email.links import Links
from adapters.email.render import MAX_ATTACHMENT_BYTES
from gateway.sdk import Attachment, Delivery, FileContent, attachment_content
from gateway.sdk.attachments import content_size

MAX_LINKED_BYTES: Final = 75_000_000
"""Of one file; more than relays take."""
PURPOSE: Final = "keys of files in mail"


class LargeFiles:
    """Puts links in the place of files."""

    def __init__(self, files: KeptFiles, links: Links, secret: bytes, *, link_days: int) -> None:
        self._files = files
        self._links = links
        self._secret = secret
        self._link_ms = link_days * DAY_MS

    async def linked(self, delivery: Delivery, first_try: int) -> Delivery:
        """The delivery with files that fit into a mail; `first_try` (ms) makes the same links of it at every try.

        Raises InvalidInput for an attachment that is none, LimitExceeded and Unavailable when it cannot be kept now.
        """
        room = MAX_ATTACHMENT_BYTES
        attachments: list[Attachment] = []
        for number, attachment in enumerate(delivery.attachments):
            size = content_size(attachment)
            if size <= room:
                room -= size
                attachments.append(attachment)
                continue
            attachments.append(await self._linked(delivery, number, attachment, first_try))
        return replace(delivery, attachments=tuple(attachments))

    async def _linked(self, delivery: Delivery, number: int, attachment: Attachment, first_try: int) -> Attachment:
        content = await asyncio.to_thread(attachment_content, attachment, max_bytes=MAX_LINKED_BYTES)
        if not isinstance(content, FileContent):
            return attachment
        key = await asyncio.to_thread(self._key, f"{delivery.message_hash} {number}", content)
        kept = await self._files.keep(
            content.name,
            content.media_type,
            _blocks(content.data),
            of=delivery.recipient,
            until=first_try + self._link_ms,
            key=key,
        )
        return Attachment(self._links.to(kept.key, kept.until, content.name), content.name)

    def _key(self, place: str, content: FileContent) -> bytes:
        digest = hashlib.sha256(content.data).digest()
        made_of = "\0".join((place, content.name, content.media_type)).encode("utf-8", "replace") + digest
        return hmac.digest(self._secret, made_of, hashlib.sha256)[:KEY_BYTES]


async def _blocks(data: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(data), PIECE):
        yield data[begin : begin + PIECE]
