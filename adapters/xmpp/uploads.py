"""Files on the peer's server (XEP-0363): where a DM3 attachment is put so that XMPP clients can fetch it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import aiohttp
import structlog

from adapters.xmpp import namespaces as ns
from adapters.xmpp.asking import Asking
from adapters.xmpp.jids import Jid
from adapters.xmpp.services import upload
from adapters.xmpp.services.upload import Slot
from adapters.xmpp.stanzas import RemoteFile
from adapters.xmpp.xml import attribute, children, tag
from gateway.sdk import FileContent, InvalidInput, Link, Unavailable

log = structlog.get_logger(__name__)

PUT_SECONDS: Final = 60.0
NO_SERVICE: Final = "the recipient's server takes no files"


class Uploads:
    """Finds the server's upload service when it is first needed, and puts files there."""

    def __init__(self, asking: Asking, server: Jid) -> None:
        self._asking = asking
        self._server = server
        self._service: tuple[Jid, int] | None = None

    async def remote(self, file: FileContent | Link) -> RemoteFile:
        """The address of a file: its own, or where it was put.

        Raises InvalidInput for a file that the server never takes, Unavailable for what can be tried again.
        """
        if isinstance(file, Link):
            return RemoteFile(file.url, file.name)
        service, limit = await self._found()
        if limit and len(file.data) > limit:
            raise InvalidInput(f"the recipient's server takes files of up to {limit} bytes")
        slot = await self._slot(service, file)
        await self._put(slot, file)
        return RemoteFile(slot.get, file.name, file.media_type, len(file.data))

    async def _found(self) -> tuple[Jid, int]:
        if self._service is None:
            items = await self._asking.ask(self._server, tag("query", xmlns=ns.DISCO_ITEMS))
            candidates = (
                [] if items is None else [attribute(each, "jid") for each in children(items, ns.DISCO_ITEMS, "item")]
            )
            for text in (str(self._server), *candidates[:20]):
                jid = Jid.parse(text)
                if self._asking.is_ours(jid):
                    continue
                try:
                    limit = upload.read_limit(await self._asking.ask(jid, tag("query", xmlns=ns.DISCO_INFO)))
                except (InvalidInput, Unavailable):
                    continue
                if limit is not None:
                    self._service = (jid, limit)
                    break
            else:
                raise InvalidInput(NO_SERVICE)
        return self._service

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
