"""Records from a web server, which is not believed but for what the registry's key has signed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote

from gateway.ens.egress import GuardedClient
from gateway.errors import BadRegistryAnswer, FetchFailed, FetchRefused, GatewayError, RegistryDown
from gateway.ids import EnsName, EthAddress
from gateway.lifecycle import Clock
from gateway.registry_settings import NAME_PLACE
from gateway.resolver.registries.breaker import Breaker
from gateway.resolver.registries.document import MAX_DOCUMENT, read_document
from gateway.resolver.registries.registry import Reading
from gateway.resolver.registries.wanted import Wanted

_BUSY: Final = frozenset({408, 425, 429})


class HttpOrigin:
    """Fetches the document of a name from the first of ``urls`` that has a valid one (see ``document``).

    ``{name}`` in a URL becomes the name in percent-encoded UTF-8. Each server has a breaker of its own; a document that
    is not valid does not count there, because one name's document must not close a whole zone. ``timeout``: seconds
    that one server has.
    """

    def __init__(
        self,
        urls: Sequence[str],
        signers: Sequence[EthAddress],
        client: GuardedClient,
        *,
        timeout: float,
        breaker: Callable[[], Breaker],
        clock: Clock,
    ) -> None:
        self._servers = tuple((url, breaker()) for url in urls)
        self._signers = tuple(EthAddress(signer.lower()) for signer in signers)
        self._client = client
        self._timeout = timeout
        self._clock = clock

    @property
    def whole(self) -> bool:
        """See Origin."""
        return True

    @property
    def follows(self) -> bool:
        """See Origin."""
        return False

    async def read(self, name: EnsName, wanted: Wanted) -> Reading:
        """See Origin."""
        failure: GatewayError = RegistryDown("no server of the registry is asked")
        for url, breaker in self._servers:
            try:
                with breaker.attempt(FetchFailed):
                    body = await self._fetch(url.replace(NAME_PLACE, quote(name, safe="")))
                return read_document(body, name, self._clock(), self._signers)
            except (FetchFailed, RegistryDown) as error:
                failure = error
            except BadRegistryAnswer as error:
                # A server that could be asked again later is the better reason to report.
                failure = failure if isinstance(failure, FetchFailed) else error
        raise failure

    async def _fetch(self, url: str) -> bytes:
        try:
            fetched = await self._client.get(
                url, max_bytes=MAX_DOCUMENT, accept=("application/json",), max_redirects=0, timeout=self._timeout
            )
        except FetchRefused as error:
            raise BadRegistryAnswer(error.detail) from None
        if fetched.status >= 500 or fetched.status in _BUSY:
            raise FetchFailed(f"the registry's server answered {fetched.status}")
        if fetched.status != 200:
            # Also 404: that a name is not there has to be signed, too.
            raise BadRegistryAnswer(f"the registry's server answered {fetched.status}")
        return fetched.body
