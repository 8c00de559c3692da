"""Fetching a policy over HTTPS (RFC 8461, section 3.3): from a checked address, with a bound on everything."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from adapters.email.mta_sts.policy import Policy, parse_policy
from adapters.email.tls import ResultType
from gateway.sdk import InvalidInput, NotFound, Unavailable

if TYPE_CHECKING:
    import httpx2

HTTPS_PORT: Final = 443
MAX_BYTES: Final = 64 * 1024
FETCH_TIME: Final = 15.0
"""Seconds for all of it; the RFC suggests a minute, but a mail waits for this."""
_PATH: Final = "/.well-known/mta-sts.txt"


class FetchFailed(Exception):
    """There is no policy to be had now; `kind` as in TLS reports (RFC 8460, section 4.3.2)."""

    def __init__(self, kind: ResultType) -> None:
        super().__init__(kind.value)
        self.kind = kind


class Addresses(Protocol):
    """Looks up hosts."""

    async def addresses(self, host: str) -> Sequence[str]:
        """Addresses that we may connect to; raises NotFound or Unavailable."""


@dataclass(frozen=True, slots=True)
class PolicyHost:
    """Fetches policies from ``mta-sts.<domain>``."""

    dns: Addresses
    port: int = HTTPS_PORT
    context: ssl.SSLContext | None = None
    """None for the certificates that the system trusts."""

    async def fetch(self, domain: str) -> Policy:
        """The policy of a domain; raises FetchFailed."""
        import httpx2  # by the first policy: most nodes with a relay host never fetch one

        host = f"mta-sts.{domain}"
        try:
            addresses = await self.dns.addresses(host)
        except (NotFound, Unavailable):
            raise FetchFailed(ResultType.POLICY_FETCH) from None
        if not addresses:
            raise FetchFailed(ResultType.POLICY_FETCH)
        address = addresses[0]
        literal = f"[{address}]" if ":" in address else address
        # The connection goes to the address that was checked; name and certificate are those of the host.
        request = httpx2.Request(
            "GET",
            f"https://{literal}:{self.port}{_PATH}",
            headers={"host": host, "accept": "text/plain", "user-agent": "dm3-gateway"},
            extensions={"sni_hostname": host, "timeout": dict.fromkeys(("connect", "read", "write", "pool"), 5.0)},
        )
        try:
            async with httpx2.AsyncClient(
                verify=self.context or ssl.create_default_context(), trust_env=False, follow_redirects=False
            ) as client:
                return parse_policy(await _text(client, request))
        except InvalidInput as error:
            raise FetchFailed(ResultType.POLICY_INVALID) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise FetchFailed(_kind(error)) from error


async def _text(client: httpx2.AsyncClient, request: httpx2.Request) -> str:
    """The body of a plain answer of text; a redirect is none (section 3.3)."""
    response = await client.send(request, stream=True)
    try:
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code != 200 or media_type != "text/plain":
            raise FetchFailed(ResultType.POLICY_FETCH)
        body = b""
        async for block in response.aiter_raw():
            body += block
            if len(body) > MAX_BYTES:
                raise InvalidInput("the policy is too long")
        return body.decode("utf-8", "replace")
    finally:
        await response.aclose()


def _kind(error: BaseException) -> ResultType:
    """A bad certificate of the web server is told apart from a server that does not answer."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return ResultType.WEBPKI
        cause = cause.__cause__ or cause.__context__
    return ResultType.POLICY_FETCH
