"""The JSON-RPC door of the relay: DM3-MTP and dm3_forward, as a plain ASGI endpoint because it is the hot path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

import structlog
from starlette.types import Receive, Scope, Send

from gateway.bodies import Bodies
from gateway.dm3.canonical import Json, stringify
from gateway.dm3.layers import LayerMethod
from gateway.ens.names import normalise
from gateway.errors import GatewayError, InvalidParams, MethodNotFound, MethodNotSupported
from gateway.offload import Offload
from gateway.rates import Rate, asker_of
from gateway.relay.extension import ProfileExtensions
from gateway.relay.forward import Forwarding
from gateway.relay.jsonrpc import Call, CallId, error_body, parse_call, result_body
from gateway.relay.properties import ServiceProperties
from gateway.relay.submit import Submission

log = structlog.get_logger(__name__)

Method = Callable[[Call], Awaitable[Json]]

CORS = (b"access-control-allow-origin", b"*")
PREFLIGHT = (
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"content-type, authorization"),
    (b"access-control-max-age", b"86400"),
)


class RpcEndpoint:
    """`POST /rpc` and its other spellings (DM3-MTP names no path; the reference uses ``{url}/rpc``)."""

    def __init__(
        self,
        *,
        submission: Submission,
        properties: ServiceProperties,
        extensions: ProfileExtensions,
        forwarding: Forwarding | None,
        bodies: Bodies,
        rate: Rate,
        offload: Offload,
    ) -> None:
        self._submission = submission
        self._properties = properties
        self._extensions = extensions
        self._forwarding = forwarding
        self._bodies = bodies
        self._rate = rate
        self._offload = offload
        # An envelope comes as a string in JSON: every quote and backslash of it is doubled.
        self._max_body = properties.size_limit + properties.size_limit // 4 + 65_536
        self._methods: Mapping[str, Method] = MappingProxyType(
            {
                "dm3_submitMessage": self._submit,
                "dm3_getDeliveryServiceProperties": self._get_properties,
                "dm3_getProfileExtension": self._get_extension,
                LayerMethod.FORWARD: self._forward,
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever comes in, the answer is JSON-RPC."""
        if scope["method"] == "OPTIONS":
            await _respond(send, 204, b"", PREFLIGHT)
            return
        identifier: CallId = None
        try:
            self._rate.take(asker_of(scope))
            async with self._bodies.body(scope, receive, max_bytes=self._max_body) as body:
                call = await self._offload.run(len(body), parse_call, body, max_bytes=self._max_body)
                identifier = call.id
                method = self._methods.get(call.method)
                if method is None:
                    raise MethodNotFound
                result = await method(call)
            await _respond(send, 200, result_body(identifier, result))
        except GatewayError as error:
            log.info("rpc.refused", code=error.code, error=type(error).__name__, detail=error.detail)
            await _respond(send, error.status, error_body(identifier, error))
        except Exception:
            log.exception("rpc.failed")
            await _respond(send, 500, error_body(identifier, GatewayError()))

    async def _submit(self, call: Call) -> Json:
        """params: [envelope as JSON string or object, token (not needed, ignored)]; result: ``OK`` as the reference."""
        if not call.params or not isinstance(call.params[0], str | dict):
            raise InvalidParams("params must be [envelope]")
        await self._submission.submit(call.params[0], size=call.size)
        return "OK"

    async def _forward(self, call: Call) -> Json:
        """params: [layer text]; result: ``OK`` once the layer is stored (privacy routing, README.md here)."""
        if self._forwarding is None:
            raise MethodNotSupported("this delivery service does not forward for others")
        if len(call.params) != 1 or not isinstance(call.params[0], str):
            raise InvalidParams("params must be [layer]")
        await self._forwarding.accept(call.params[0])
        return "OK"

    async def _get_properties(self, _call: Call) -> Json:
        """result: JSON text of the properties; clients parse the string."""
        return stringify(self._properties.to_json())

    async def _get_extension(self, call: Call) -> Json:
        """params: [name]; result: JSON text of the profile extension."""
        if len(call.params) != 1 or not isinstance(call.params[0], str):
            raise InvalidParams("params must be [ENS name]")
        return stringify(await self._extensions.of(normalise(call.params[0])))


async def _respond(send: Send, status: int, body: bytes, more: Sequence[tuple[bytes, bytes]] = ()) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), CORS, *more]
    if status == MethodNotSupported.status:
        headers.append((b"allow", b"POST, OPTIONS"))  # RFC 9110 section 15.5.6
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
