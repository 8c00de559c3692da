"""What a profile record points to: JSON in the record itself, on a web server, or in IPFS (DM3-MTP, profile)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.dm3.canonical import JsonObject, parse_object
from gateway.dm3.profile import MAX_PROFILE_BYTES, check_dm3_hash, parse_data_uri
from gateway.ens.cid import parse_ipfs_uri, verified_content
from gateway.ens.egress import Fetched, GuardedClient
from gateway.errors import BadProfile, FetchFailed, FetchRefused, ParseError, TooLarge


class Documents:
    """Fetches the documents of records; ``ipfs_gateways`` are base URLs, tried in order.

    Gateways are the operator's choice and need not be public, so they may have a client of their own.
    """

    def __init__(
        self, client: GuardedClient, ipfs_gateways: Sequence[str] = (), ipfs_client: GuardedClient | None = None
    ) -> None:
        self._client = client
        self._ipfs_client = ipfs_client or client
        self._ipfs_gateways = tuple(gateway.rstrip("/") for gateway in ipfs_gateways)

    async def read(self, uri: str) -> JsonObject:
        """The JSON object of a record: ``data:``, https with ``dm3Hash``, or ``ipfs://`` with its CID checked.

        Raises BadProfile when it is malformed, missing there, or not what hash or CID promise; FetchRefused when it
        is at a forbidden address; FetchFailed when it cannot be had now.
        """
        scheme = uri.partition(":")[0].lower()
        match scheme:
            case "data":
                return _parse(parse_data_uri(uri, MAX_PROFILE_BYTES))
            case "https" | "http":
                return await self._from_web(uri)
            case "ipfs":
                return _parse(await self._from_ipfs(uri))
            case _:
                raise BadProfile("the record holds no data, https or ipfs URI")

    async def _from_web(self, uri: str) -> JsonObject:
        # Without a hash the server could change the profile at will; do not even ask it.
        if "dm3Hash=" not in uri:
            raise BadProfile("the profile's URL has no dm3Hash")
        document = _parse(_body(await self._client.get(uri, max_bytes=MAX_PROFILE_BYTES)))
        if not check_dm3_hash(uri, document):
            raise BadProfile("the profile is not the one that its dm3Hash promises")
        return document

    async def _from_ipfs(self, uri: str) -> bytes:
        cid = parse_ipfs_uri(uri)
        failure: FetchFailed | FetchRefused | BadProfile = FetchFailed("no IPFS gateway is configured")
        for gateway in self._ipfs_gateways:
            try:
                # A node gives the block itself, which is what can be checked; a plain gateway gives the file.
                url = f"{gateway}/ipfs/{cid.text}?format=raw"
                fetched = await self._ipfs_client.get(url, max_bytes=2 * MAX_PROFILE_BYTES)
                return verified_content(cid, _body(fetched))
            except (FetchFailed, FetchRefused, BadProfile) as error:
                # A lying gateway is no proof that the document is bad.
                failure = error
        raise FetchFailed(f"no IPFS gateway has the document: {failure.detail}")


def _body(fetched: Fetched) -> bytes:
    if fetched.status == 200:
        return fetched.body
    if fetched.status >= 500 or fetched.status in (408, 425, 429):
        raise FetchFailed(f"the profile's server answered {fetched.status}")
    raise BadProfile(f"the profile is not there: its server answered {fetched.status}")


def _parse(text: str | bytes) -> JsonObject:
    try:
        return parse_object(text, max_bytes=MAX_PROFILE_BYTES, max_depth=8, max_items=256)
    except (ParseError, TooLarge) as error:
        raise BadProfile(f"profile: {error.detail}") from None
