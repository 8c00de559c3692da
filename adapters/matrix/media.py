"""Files on their way: from a homeserver into a DM3 message, as content or as a link, and back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from adapters.matrix.content import Media
from adapters.matrix.errors import HomeserverRefused, Unfit
from adapters.matrix.intent import Intent
from adapters.matrix.links import Links
from adapters.matrix.settings import MatrixSettings
from gateway.sdk import Attachment, file_attachment

CHUNK = 64 * 2**10
DAY_MS = 24 * 3600 * 1000
GONE = "The file is not on the homeserver any more."


@dataclass(frozen=True, slots=True)
class Files:
    """Carries files of one homeserver over."""

    settings: MatrixSettings
    links: Links

    async def attachment(self, media: Media, intent: Intent, now: int) -> Attachment:
        """A file inside the message, or as a link when it is too large for that.

        Raises Unfit for what is too large or gone, HomeserverDown for what can be tried again.
        """
        if media.size > self.settings.max_media_bytes:
            raise Unfit(_too_large(self.settings.max_media_bytes))
        if media.encryption is not None:
            return await self._decrypted(media, intent)
        linked = Attachment(self.links.to(media, media.media_type, now + self.settings.link_days * DAY_MS), media.name)
        if media.size > self.settings.embed_bytes:
            return linked
        try:
            data = await self._fetch(media, intent)
        except HomeserverRefused as refusal:
            raise Unfit(GONE) from refusal
        return linked if data is None else file_attachment(media.name, media.media_type, data)

    async def _decrypted(self, media: Media, intent: Intent) -> Attachment:
        """A file of an encrypted room: inside the message or not at all, because what serves links has no keys."""
        if not self.settings.encryption or media.encryption is None:
            raise Unfit("Files of encrypted rooms cannot be carried over.")
        from adapters.matrix.crypto.files import unlocked

        try:
            data = None if media.size > self.settings.embed_bytes else await self._fetch(media, intent)
        except HomeserverRefused as refusal:
            raise Unfit(GONE) from refusal
        if data is None:
            raise Unfit(f"{_too_large(self.settings.embed_bytes)[:-1]} out of encrypted rooms.")
        return file_attachment(media.name, media.media_type, await asyncio.to_thread(unlocked, data, media.encryption))

    async def _fetch(self, media: Media, intent: Intent) -> bytes | None:
        """The content; None when it is larger than its sender said and than what goes into a message.

        Raises Unfit when it is larger than what is carried over at all: of the size its sender says nobody is sure.
        """
        data = bytearray()
        async with intent.download(media.server, media.id) as answer:
            told = answer.content_length or 0
            if told <= self.settings.embed_bytes:
                async for part in answer.content.iter_chunked(CHUNK):
                    data += part
                    if len(data) > self.settings.embed_bytes:
                        break
        size = max(told, len(data))
        embedded = size <= self.settings.embed_bytes
        if size > self.settings.max_media_bytes and (embedded or media.encryption is None):
            raise Unfit(_too_large(self.settings.max_media_bytes))
        return bytes(data) if embedded else None


def _too_large(limit: int) -> str:
    return f"The file is too large: at most {limit // 1_000_000} MB are carried over."
