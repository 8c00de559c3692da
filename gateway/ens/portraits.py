"""What a name shows of its owner in chat networks: display name (ENSIP-18) and avatar (ENSIP-12)."""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

import structlog

from gateway.ens.egress import GuardedClient
from gateway.ens.lookup import Ens
from gateway.ens.together import both
from gateway.errors import FetchRefused, GatewayError, InvalidInput, Unavailable, UnknownName
from gateway.ids import EnsName

log = structlog.get_logger(__name__)

DISPLAY_NAME_KEYS: Final = ("alias", "display", "name")
"""Text records that hold a name for people, the newest convention first (ENSIP-18, ENSIP-5, usage)."""
AVATAR_KEY: Final = "avatar"
PICTURE_TYPES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""Pictures without scripts in them."""
MAX_PICTURE: Final = 2 * 2**20
MAX_DISPLAY_NAME: Final = 100
PICTURE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Picture:
    """An image file."""

    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Face:
    """Display name, "" when there is none, and picture."""

    display_name: str
    picture: Picture | None


class Portraits:
    """Reads faces; ``ipfs_gateways`` are base URLs of the operator's choice, asked with ``ipfs_client``."""

    def __init__(
        self,
        ens: Ens,
        client: GuardedClient,
        *,
        ipfs_gateways: Sequence[str] = (),
        ipfs_client: GuardedClient | None = None,
    ) -> None:
        self._ens = ens
        self._client = client
        self._ipfs_client = ipfs_client or client
        self._ipfs_gateways = tuple(gateway.rstrip("/") for gateway in ipfs_gateways)

    async def of(self, name: EnsName) -> Face:
        """The face of a name, empty for one without records. Raises ChainUnavailable and FetchFailed of the records.

        Nothing is remembered here: whoever shows a face keeps it.
        """
        try:
            found = await self._ens.resolver_of(name)
            if found is None:
                return Face("", None)
            display, avatar = await both(
                self._ens.text(name, DISPLAY_NAME_KEYS[0], at=found), self._ens.text(name, AVATAR_KEY, at=found)
            )
            for key in DISPLAY_NAME_KEYS[1:]:
                display = display or await self._ens.text(name, key, at=found)
        except (InvalidInput, UnknownName, FetchRefused):
            return Face("", None)
        return Face(_one_line(display), await self._picture(avatar))

    async def _picture(self, uri: str) -> Picture | None:
        """None for whatever cannot be shown: a missing picture must not keep a message back."""
        try:
            match uri.partition(":")[0].lower():
                case "data":
                    return _inline(uri)
                case "https" | "http":
                    return await self._fetch(self._client, uri)
                case "ipfs" if self._ipfs_gateways:
                    path = uri.partition("://")[2].removeprefix("ipfs/")
                    return await self._fetch(self._ipfs_client, f"{self._ipfs_gateways[0]}/ipfs/{path}")
        except GatewayError as error:
            log.info("portrait.no_picture", error=type(error).__name__, detail=error.detail)
        return None

    async def _fetch(self, client: GuardedClient, url: str) -> Picture | None:
        fetched = await client.get(url, max_bytes=MAX_PICTURE, accept=PICTURE_TYPES, timeout=PICTURE_SECONDS)
        if fetched.status != 200:
            raise Unavailable(f"the picture's server answered {fetched.status}")
        return Picture(fetched.content_type, fetched.body) if fetched.content_type in PICTURE_TYPES else None


def _inline(uri: str) -> Picture | None:
    """A picture in the record itself (RFC 2397)."""
    head, _, body = uri[5:].partition(",")
    kind, *parameters = (each.strip().lower() for each in head.split(";"))
    if kind not in PICTURE_TYPES:
        return None
    try:
        data = base64.b64decode(body, validate=True) if "base64" in parameters else unquote_to_bytes(body)
    except (binascii.Error, ValueError):
        return None
    return Picture(kind, data) if data else None


def _one_line(text: str) -> str:
    """Without line ends and what turns the direction of writing; cut to what a list of rooms shows."""
    seen = "".join(each if unicodedata.category(each) not in ("Cc", "Cf", "Cs") else " " for each in text)
    return " ".join(seen.split())[:MAX_DISPLAY_NAME]
