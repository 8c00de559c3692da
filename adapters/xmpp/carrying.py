"""Files of people on their way into DM3 messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from adapters.xmpp.stanzas import Chat
from adapters.xmpp.uploads import Uploads
from gateway.sdk import Attachment, file_attachment

AT_ONCE: Final = 4
"""Messages whose files are in memory."""


class Carrying:
    """Fetches what lies on the people's own server; everything else stays a link."""

    def __init__(self, uploads: Uploads, most: int) -> None:
        """``most``: bytes of all files of one message."""
        self._uploads = uploads
        self._most = most
        self._turn = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def attachments(self, chat: Chat) -> AsyncIterator[tuple[Attachment, ...]]:
        """The files of a message, while they are needed."""
        if not chat.files:
            yield ()
            return
        async with self._turn:
            left, found = self._most, []
            for file in chat.files:
                content = await self._uploads.content(file, left) if left else None
                if content is None:
                    found.append(Attachment(file.url, file.name or None))
                    continue
                left -= len(content.data)
                found.append(await asyncio.to_thread(file_attachment, content.name, content.media_type, content.data))
            yield tuple(found)
