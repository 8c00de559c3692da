"""The ASGI application alone: routes, statuses, headers, bodies in pieces."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import CustodyError, GatewayError, InvalidInput, NotFound, Unavailable
from gateway.ids import EnsName, EthAddress
from gateway.resolver import endpoint
from gateway.resolver.answers import Answer
from gateway.resolver.endpoint import CcipEndpoint
from gateway.resolver.records import NameRecords
from gateway.resolver.resolver import Resolver
from gateway.resolver.signer import KeySigner
from gateway.resolver.sources import Fixed
from tests.unit.resolver import support

SENDER = "0x" + "ab" * 20
NAME = "bob.gw.eth"
DATA = "0x" + support.resolve(NAME, support.text(NAME, "url")).hex()


class Failing:
    """Fails in a chosen way, to see what the outside is told."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def answer(self, sender: EthAddress, calldata: bytes, *, followed: bool = False) -> Answer:
        """Raises what it was given."""
        raise self._error


def app(ttl: int = 300) -> CcipEndpoint:
    source = Fixed({EnsName(NAME): NameRecords(texts={"url": "https://example.org"})})
    signer = KeySigner.of(b"\x07" * 32)
    return CcipEndpoint(Resolver([source], signer, [EthAddress(SENDER)], ttl, [EnsName("gw.eth")]))


async def call(
    application: CcipEndpoint, method: str, path: str, body: bytes = b"", *, pieces: int = 1, root: str = ""
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON body of one request."""
    size = -(-len(body) // pieces) or 1
    parts = [body[i : i + size] for i in range(0, len(body), size)] or [b""]
    incoming = [
        {"type": "http.request", "body": part, "more_body": index < len(parts) - 1} for index, part in enumerate(parts)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await application({"type": "http", "method": method, "path": path, "root_path": root, "headers": []}, receive, send)
    start, finish = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert int(headers["content-length"]) == len(finish["body"])
    return start["status"], headers, json.loads(finish["body"]) if finish["body"] else None


@pytest.mark.parametrize(
    ("path", "root"),
    [
        (f"/ccip/{SENDER}/{DATA}", ""),
        (f"/ccip/{SENDER}/{DATA}.json", ""),
        (f"/ccip/{SENDER}/{DATA}.json", "/ccip"),
        (f"/{SENDER}/{DATA}", ""),
        (f"/ccip/{SENDER.upper().replace('0X', '0x')}/{DATA.upper().replace('0X', '0x')}.json", ""),
    ],
)
async def test_get(path: str, root: str) -> None:
    status, headers, body = await call(app(), "GET", path, root=root)
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["cache-control"] == "public, max-age=60"
    assert set(body) == {"data"}
    assert b"https://example.org" in bytes.fromhex(body["data"][2:])


@pytest.mark.parametrize("pieces", [1, 7])
async def test_post(pieces: int) -> None:
    body = json.dumps({"sender": SENDER, "data": DATA, "more": 1}).encode()
    status, headers, answer = await call(app(), "POST", "/ccip", body, pieces=pieces)
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert b"https://example.org" in bytes.fromhex(answer["data"][2:])


async def test_caches_forget_before_signatures_expire() -> None:
    _, headers, _ = await call(app(ttl=20), "GET", f"/ccip/{SENDER}/{DATA}")
    assert headers["cache-control"] == "public, max-age=5"


async def test_caches_forget_before_the_signature_of_short_lived_records_expires() -> None:
    source = Fixed({EnsName(NAME): NameRecords(texts={"url": "https://example.org"}, ttl=12)})
    resolver = Resolver([source], KeySigner.of(b"\x07" * 32), [EthAddress(SENDER)], 300, [EnsName("gw.eth")])
    _, headers, body = await call(CcipEndpoint(resolver), "GET", f"/ccip/{SENDER}/{DATA}")
    assert headers["cache-control"] == "public, max-age=3"
    assert body["data"]


async def test_preflight() -> None:
    for path in ("/ccip", f"/ccip/{SENDER}/{DATA}"):
        status, headers, body = await call(app(), "OPTIONS", path)
        assert (status, body) == (204, None)
        assert headers["access-control-allow-origin"] == "*"
        assert "POST" in headers["access-control-allow-methods"]
        assert headers["access-control-allow-headers"] == "content-type"


OTHER = "0x" + support.resolve("alice.eth", support.addr("alice.eth")).hex()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"/ccip/0x{'cd' * 20}/{DATA}", b"", 404),
        ("GET", f"/ccip/{SENDER}/{OTHER}", b"", 404),
        ("GET", "/ccip", b"", 404),
        ("GET", "/ccip/", b"", 404),
        ("GET", f"/ccip/{SENDER}", b"", 400),
        ("GET", f"/ccip/{SENDER}/", b"", 400),
        ("GET", f"/ccip/{SENDER}/0x", b"", 400),
        ("GET", f"/ccip/{SENDER}/{DATA}0", b"", 400),
        ("GET", f"/ccip/{SENDER}/{DATA[2:]}", b"", 400),
        ("GET", f"/ccip/{SENDER}/{DATA} 00", b"", 400),
        ("GET", f"/ccip/{SENDER}/{DATA}/x", b"", 400),
        ("GET", f"/ccip/{SENDER[:-1]}/{DATA}", b"", 400),
        ("GET", f"/ccip/{SENDER}g/{DATA}", b"", 400),
        ("GET", f"/ccip/{SENDER}/0x{'00' * 32769}", b"", 413),
        ("GET", f"/ccip/{SENDER}/0x{'00' * 32768}", b"", 400),
        ("POST", "/ccip", b"", 400),
        ("POST", "/ccip", b"[]", 400),
        ("POST", "/ccip", b"{", 400),
        ("POST", "/ccip", b"\xff", 400),
        ("POST", "/ccip", b"[" * 10_000, 400),
        ("POST", "/ccip", b"{}", 400),
        ("POST", "/ccip", b'{"sender":1,"data":"0x"}', 400),
        ("POST", "/ccip", b'{"sender":null,"data":null}', 400),
        ("POST", "/ccip", b'{"data":"0x","data":"0x"}', 400),
        ("POST", "/ccip", b'{"data":NaN}', 400),
        ("POST", "/ccip", b" " * 70_000, 413),
        ("POST", f"/ccip/{SENDER}/{DATA}", b"", 404),
        ("PUT", "/ccip", b"", 405),
        ("DELETE", f"/ccip/{SENDER}/{DATA}", b"", 405),
    ],
)
async def test_what_is_refused(method: str, path: str, body: bytes, status: int) -> None:
    found, headers, answer = await call(app(), method, path, body, pieces=3)
    assert found == status
    assert isinstance(answer["message"], str)
    assert answer["message"]
    assert headers["content-type"] == "application/json"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (InvalidInput("why"), 400, "why"),
        (NotFound("what"), 404, "what"),
        (Unavailable("secret host name"), 503, Unavailable.sentence),
        (CustodyError("secret path"), 500, CustodyError.sentence),
        (RuntimeError("secret state"), 500, GatewayError.sentence),
    ],
)
async def test_what_the_outside_is_told(error: Exception, status: int, message: str) -> None:
    found, headers, body = await call(CcipEndpoint(Failing(error)), "GET", f"/ccip/{SENDER}/{DATA}")
    assert (found, body) == (status, {"message": message})
    assert headers["cache-control"] == "no-store"
    assert headers["access-control-allow-origin"] == "*"


async def test_a_body_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "BODY_TIMEOUT", 0.05)
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    await app()({"type": "http", "method": "POST", "path": "/ccip"}, receive, send)
    assert sent[0]["status"] == 408


async def test_a_client_that_leaves() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app()({"type": "http", "method": "POST", "path": "/ccip"}, receive, send)
    assert sent[0]["status"] == 400


async def test_other_protocols_are_left_alone() -> None:
    async def never() -> Any:
        raise AssertionError("nothing is read")

    async def send(message: Any) -> None:
        raise AssertionError("nothing is sent")

    await app()({"type": "websocket", "path": "/ccip"}, never, send)


@given(st.text(max_size=200), st.sampled_from(["GET", "POST", "PATCH"]), st.binary(max_size=300))
async def test_any_request_is_refused_politely(path: str, method: str, body: bytes) -> None:
    status, _, answer = await call(app(), method, "/ccip/" + path, body)
    assert 400 <= status < 500
    assert answer["message"]


@given(st.binary(max_size=400))
async def test_any_calldata_is_refused_politely(data: bytes) -> None:
    status, _, _ = await call(app(), "GET", f"/ccip/{SENDER}/0x9061b923{data.hex()}")
    assert 400 <= status < 500
