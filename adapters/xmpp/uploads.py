"""Files on the peer's server (XEP-0363): where a DM3 attachment is put so that XMPP clients can fetch it, and back."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

import aiohttp
import structlog

from adapters.xmpp import namespaces as ns
from adapters.xmpp.asking import Asking
from adapters.xmpp.errors import BadStanza, Condition, Refused
from adapters.xmpp.jids import Jid
from adapters.xmpp.link import LinkDown
from adapters.xmpp.services import upload
from adapters.xmpp.services.upload import Slot
from adapters.xmpp.stanzas import RemoteFile
from adapters.xmpp.xml import attribute, children, tag
from gateway.sdk import FileContent, InvalidInput, Link, Unavailable

log = structlog.get_logger(__name__)

PUT_SECONDS: Final = 60.0
GET_SECONDS: Final = 20.0
CHUNK: Final = 64 * 2**10
RETRY_SECONDS: Final = 300.0
"""After which a server without a place for files is asked again."""
PROBE: Final = FileContent("probe", "text/plain", b"1")
"""Never sent: its place tells where files of this server are."""
NO_SERVICE: Final = "the recipient's server takes no files"
MOVED: Final = frozenset({Condition.ITEM_NOT_FOUND, Condition.SERVICE_UNAVAILABLE})
"""What is answered in the place of a service that is not there any more."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server has the files of its people."""

    origin: tuple[str, str, int | None]
    """Scheme, host and port."""
    path: str
    """Beginning of the paths of files."""

    @classmethod
    def of(cls, url: str) -> Place:
        """From the address of a file: below the first segment, when the file has at least two more of its own."""
        segments = urlsplit(url).path.split("/")
        return cls(_origin(url), f"/{segments[1]}/" if len(segments) > 3 else "/")

    def holds(self, url: str) -> bool:
        """Whether a file is there; an address with a way up or out is not."""
        try:
            path, origin = urlsplit(url).path, _origin(url)
        except ValueError:
            return False
        plain = not {"", ".", ".."} & set(unquote(path).split("/")[1:]) and "\\" not in path
        return origin == self.origin and plain and path.startswith(self.path)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("an address with a user name")
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class Uploads:
    """Finds the server's upload service when it is first needed, and puts files there."""

    def __init__(self, asking: Asking, server: Jid) -> None:
        self._asking = asking
        self._server = server
        self._service: tuple[Jid, int] | None = None
        self._place: Place | None = None
        self._asked_at = -math.inf

    async def remote(self, file: FileContent | Link) -> RemoteFile:
        """The address of a file: its own, or where it was put.

        Raises InvalidInput for a file that the server never takes, Unavailable for what can be tried again.
        """
        if isinstance(file, Link):
            return RemoteFile(file.url, file.name)
        slot = await self._slot_anywhere(file)
        await self._put(slot, file)
        return RemoteFile(slot.get, file.name, file.media_type, len(file.data))

    async def content(self, file: RemoteFile, most: int) -> FileContent | None:
        """A file of our own server, to go inside a message; None for one of elsewhere, over ``most`` bytes, or gone.

        Nothing else is fetched, whatever people link to: what lies beside the files of that server is not theirs.
        """
        place = await self._files_place()
        if place is None or not place.holds(file.url) or (file.size or 0) > most:
            return None
        timeout = aiohttp.ClientTimeout(total=GET_SECONDS)
        data = bytearray()
        try:
            async with (
                aiohttp.ClientSession(trust_env=False, timeout=timeout, auto_decompress=False) as session,
                session.get(file.url, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    log.info("download.refused", status=answer.status)
                    return None
                async for part in answer.content.iter_chunked(CHUNK):
                    data += part
                    if len(data) > most:
                        return None
                kind = answer.content_type
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            log.info("download.failed", error=type(error).__name__)
            return None
        name = file.name or unquote(urlsplit(file.url).path.rpartition("/")[2])
        return FileContent(name, file.media_type or kind, bytes(data))

    async def _files_place(self) -> Place | None:
        now = asyncio.get_running_loop().time()
        if self._place is None and now - self._asked_at > RETRY_SECONDS:
            self._asked_at = now
            try:
                service, _ = await self._found()
                self._place = Place.of((await self._slot(service, PROBE)).get)
            except (InvalidInput, Unavailable, BadStanza) as error:
                log.info("upload.no_place", error=type(error).__name__)
        return self._place

    async def _found(self) -> tuple[Jid, int]:
        if self._service is None:
            items = await self._asking.ask(self._server, tag("query", xmlns=ns.DISCO_ITEMS))
            candidates = (
                [] if items is None else [attribute(each, "jid") for each in children(items, ns.DISCO_ITEMS, "item")]
            )
            silent: Unavailable | None = None
            for text in (str(self._server), *candidates[:20]):
                try:
                    jid = Jid.parse(text)
                    if self._asking.is_ours(jid):
                        continue
                    limit = upload.read_limit(await self._asking.ask(jid, tag("query", xmlns=ns.DISCO_INFO)))
                except LinkDown:
                    raise
                except Unavailable as error:
                    silent = error
                    continue
                except (BadStanza, Refused):
                    continue
                if limit is not None:
                    self._service = (jid, limit)
                    break
            else:
                # One that does not answer now may be the one that takes files.
                raise silent or InvalidInput(NO_SERVICE)
        return self._service

    async def _slot_anywhere(self, file: FileContent, *, again: bool = True) -> Slot:
        """At the service that was found some time ago or, where that is gone, at the one that is there now."""
        service, limit = await self._found()
        if limit and len(file.data) > limit:
            raise InvalidInput(f"the recipient's server takes files of up to {limit} bytes")
        try:
            return await self._slot(service, file)
        except Refused as error:
            if error.condition in MOVED:
                self._service = None
                if again:
                    return await self._slot_anywhere(file, again=False)
            raise

    async def _slot(self, service: Jid, file: FileContent) -> Slot:
        asked = upload.ask_slot(file.name, len(file.data), file.media_type)
        return upload.read_slot(await self._asking.ask(service, asked))

    async def _put(self, slot: Slot, file: FileContent) -> None:
        headers = {each.name: each.value for each in slot.headers} | {"Content-Type": file.media_type}
        timeout = aiohttp.ClientTimeout(total=PUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(trust_env=False, timeout=timeout) as session,
                session.put(slot.put, data=file.data, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except (TimeoutError, aiohttp.ClientError) as error:
            raise Unavailable(f"the file server does not answer: {type(error).__name__}") from None
        if status not in (200, 201, 204):
            log.info("upload.refused", status=status, host=urlsplit(slot.put).hostname)
            raise Unavailable(f"the file server answered {status}")
