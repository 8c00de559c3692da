"""Bodies that are no JSON, or JSON that two parsers would read differently, at every door that takes a body."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.operations.dm3_client import Dm3Client
from gateway.relay.service import RPC_PATHS
from tests.integration.relay.clients import submit
from tests.integration.relay.doors import path_of, tokens_of
from tests.support.house import House, rpc, running_house
from tests.support.routes import Operation, operations

CANARY = "canary-of-the-sender"
TEXT = f'"{CANARY}"'
CORPUS: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b" \r\n\t ",
    "half an object": b'{"method": ' + TEXT.encode(),
    "no word of JSON": CANARY.encode(),
    "two documents": f"{TEXT}{TEXT}".encode(),
    "something behind it": b'{"method": "m"} ' + CANARY.encode(),
    "single quotes": f"{{'method': '{CANARY}'}}".encode(),
    "a comment": f'{{"a": 1}} // {CANARY}'.encode(),
    "a comma too many": f'{{"a": {TEXT},}}'.encode(),
    "a control character": f'{{"a": "{CANARY}\x01"}}'.encode(),
    "a NUL": f'{{"a": {TEXT}}}\0'.encode(),
    "a line break in a text": f'{{"a": "{CANARY}\n"}}'.encode(),
    "a bad escape": f'{{"a": "{CANARY}\\x41"}}'.encode(),
    "not UTF-8": f'{{"a": "{CANARY}'.encode() + b'\xff\xfe"}',
    "overlong UTF-8": f'{{"a": "{CANARY}'.encode() + b'\xc0\xaf"}',
    "a surrogate in UTF-8": f'{{"a": "{CANARY}'.encode() + b'\xed\xa0\x80"}',
    "UTF-16": f'{{"a": {TEXT}}}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + f'{{"a": {TEXT}}}'.encode(),
    "compressed": gzip.compress(f'{{"a": {TEXT}}}'.encode()),
    "NaN": f'{{"a": {TEXT}, "b": NaN}}'.encode(),
    "Infinity": f'{{"a": {TEXT}, "b": -Infinity}}'.encode(),
    "no double": f'{{"a": {TEXT}, "b": 1e999}}'.encode(),
    "no double, negative": f'{{"a": {TEXT}, "b": -1e999}}'.encode(),
    "an integer without end": b'{"b": ' + b"9" * 100_000 + b"}",
    "a number with a zero in front": f'{{"a": {TEXT}, "b": 01}}'.encode(),
    "a number that is none": f'{{"a": {TEXT}, "b": -}}'.encode(),
    "a hexadecimal number": f'{{"a": {TEXT}, "b": 0x10}}'.encode(),
    "a lone surrogate": f'{{"a": {TEXT}, "b": "\\ud800"}}'.encode(),
    "a lone surrogate for a key": f'{{"\\udfff": {TEXT}}}'.encode(),
    "a key twice": f'{{"method": {TEXT}, "method": {TEXT}}}'.encode(),
    "a key twice, spelt differently": f'{{"method": {TEXT}, "\\u006dethod": {TEXT}}}'.encode(),
    "arrays in arrays": b"[" * 100_000,
    "arrays in arrays, closed": b"[" * 5_000 + b"]" * 5_000,
    "objects in objects": b'{"a":' * 50_000 + TEXT.encode() + b"}" * 50_000,
    "a million params": b'{"method":"dm3_submitMessage","params":[' + b"1," * 1_000_000 + TEXT.encode() + b"]}",
    "a hundred thousand keys": b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
    "a text": TEXT.encode(),
    "a list": f"[{TEXT}]".encode(),
    "a number": b"1",
    "true": b"true",
    "null": b"null",
}
LIMITS = {
    f"DM3_GATEWAY__{key}_PER_MINUTE": "0"
    for key in ("RELAY__CALLS", "RELAY__LOG_INS", "SUBNAMES__LOOKS", "SUBNAMES__ORDERS")
}


OF_NAMES = ("/api/v1/names", "/api/v1/claims", "/api/v1/wallet", "/api/v1/admin")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Without limits on how often somebody may ask."""
    async with running_house(tmp_path / "house", working=False, overrides=LIMITS) as running:
        yield running


@pytest.mark.attack(29)
@pytest.mark.weakness(9)
async def test_every_door_refuses_every_body_by_name(
    house: House, alice: Dm3Client, bob: Dm3Client, subtests: pytest.Subtests
) -> None:
    """A 4xx with a JSON error that repeats nothing of the body, with and without a session."""
    doors = [each for each in await operations(house) if each.takes_body]
    assert len(doors) >= 14
    tokens = await tokens_of(house, alice)
    for door in doors:
        for what, body in CORPUS.items():
            with subtests.test(f"{door.method} {door.template}", body=what):
                await refuses(house, door, body, tokens.of(door))
    await submit(house, alice, bob)
    assert len(await bob.fetch()) == 1, "and the node serves on"


async def refuses(house: House, door: Operation, body: bytes, token: str) -> None:
    answer = await house.http.request(
        door.method,
        house.url + path_of(door),
        content=body,
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    )
    assert answer.status_code in (400, 413)
    assert answer.headers["content-type"] == "application/json"
    assert CANARY not in answer.text
    error = answer.json()
    if door.template in RPC_PATHS:
        assert (error["jsonrpc"], error["id"]) == ("2.0", None)
        assert error["error"]["code"] in (-32700, -32600, -32011)
        assert error["error"]["message"]
    else:
        # The name service also says why.
        assert set(error) - {"detail"} == ({"message"} if door.template == "/ccip" else {"error"})
        assert "detail" not in error or door.template.startswith(OF_NAMES)


CALLS: list[tuple[str, list[object], int]] = [
    (CANARY, [], 404),
    (CANARY * 1_000, [], 404),
    ("dm3_submitMessage", [CANARY], 400),
    ("dm3_submitMessage", [{CANARY: CANARY}], 400),
    ("dm3_submitMessage", [{"message": CANARY, "metadata": {"deliveryInformation": CANARY}}], 400),
    ("dm3_submitMessage", [json.dumps({"message": CANARY, "metadata": {"deliveryInformation": "{}"}})], 400),
    ("dm3_getProfileExtension", [f"{CANARY} {CANARY}.eth"], 400),
    ("dm3_getProfileExtension", [CANARY * 1_000], 400),
    ("dm3_getProfileExtension", [{CANARY: 1}], 400),
    ("dm3_getDeliveryServiceProperties", [CANARY] * 5, 400),
]


@pytest.mark.attack(29)
async def test_what_is_json_and_wrong_all_the_same(house: House, alice: Dm3Client, subtests: pytest.Subtests) -> None:
    """Calls that cannot be are not repeated either; and what a body claims to be changes nothing."""
    for method, params, status in CALLS:
        with subtests.test(method[:40], params=repr(params)[:60]):
            answer = await rpc(house, method, *params)
            assert answer.status_code == status
            assert "error" in answer.json()
            assert CANARY not in answer.text
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x" * 300):
        for path in ("/ds/rpc", f"/ds/auth/{alice.name}", "/api/v1/account/removal"):
            for body in (b"a=b&c=d", b"{", b"--x\r\n\r\n"):
                with subtests.test(path, kind=kind[:40]):
                    answer = await house.http.post(house.url + path, content=body, headers={"content-type": kind})
                    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
