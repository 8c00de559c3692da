"""What contracts, gateways, nodes and registries say, and the calldata of look-ups."""

from __future__ import annotations

import json

from eth_abi.abi import encode

from gateway.dm3.canonical import JsonObject, parse_json
from gateway.dm3.encoding import to_hex
from gateway.dm3.eth import address_of, eip191_hash, sign_digest
from gateway.ens.abi import read_address, read_bytes, read_bytes_array, read_string, read_uint
from gateway.ens.ccip import OFFCHAIN_LOOKUP, parse_offchain_lookup
from gateway.ens.questions import EndpointFailed, answer_of, as_data, as_height, as_quantity, as_return_data
from gateway.errors import BadRegistryAnswer, GatewayError, InvalidInput
from gateway.ids import EnsName
from gateway.resolver.batch import QUERY, parse_query
from gateway.resolver.calls import parse_request
from gateway.resolver.registries.document import read_document, signed_text
from tests.fuzz.dm3_readers import ADDRESS, JSON_WORDS
from tests.fuzz.target import Target
from tests.unit.resolver import support

NAME = EnsName("bob.gw.eth")
KEY = b"\7" * 32
SIGNER = address_of(KEY)
NOW = 1_750_000_000_000


def abi(data: bytes) -> None:
    """Nothing is read past the end, and nothing larger than was allowed."""
    read_uint(data, 0)
    for read in (_address, _bytes, _text, _array):
        try:
            read(data)
        except InvalidInput:
            continue


def _address(data: bytes) -> None:
    assert len(read_address(data, 0)) == 20


def _bytes(data: bytes) -> None:
    found = read_bytes(data, 1, max_bytes=64)
    assert len(found) <= 64
    assert found in data


def _text(data: bytes) -> None:
    assert read_string(data, 2, max_bytes=64).encode() in data


def _array(data: bytes) -> None:
    found = read_bytes_array(data, 3, max_items=4, max_bytes=64)
    assert len(found) <= 4
    assert all(item in data for item in found)


def calldata(data: bytes) -> None:
    """A look-up; the name in it is in normal form or refused."""
    assert parse_request(data).name


def batch(data: bytes) -> None:
    """Several, for the batch gateway."""
    parse_query(data)


def off_chain(data: bytes) -> None:
    """What a contract reverts with when it wants something fetched."""
    parse_offchain_lookup(OFFCHAIN_LOOKUP + data)


def node_answer(data: bytes) -> None:
    """Results of a JSON-RPC endpoint: what is no answer is the endpoint's fault."""
    try:
        value = parse_json(data, max_bytes=4096)
    except GatewayError:
        return
    for read in (as_data, as_return_data, as_quantity, as_height):
        try:
            answer_of(value, read)
        except EndpointFailed:
            continue


def registry_document(data: bytes) -> None:
    """A document that the registry really signed; what cannot be believed is not, and that is the registry's fault."""
    try:
        value = parse_json(data, max_bytes=4096)
        document: JsonObject = {**value, "signature": ""} if isinstance(value, dict) else {}
        document["signature"] = to_hex(sign_digest(KEY, eip191_hash(signed_text(document).encode())))
        text = json.dumps(document).encode()
    except GatewayError:
        text = data
    try:
        read_document(text, NAME, NOW, [SIGNER])
    except BadRegistryAnswer:
        return


_DOCUMENT = {
    "name": NAME,
    "expires": 1_800_000_000,
    "ttl": 60,
    "records": {
        "addr": ADDRESS,
        "coins": {"0": "0x00"},
        "texts": {"url": "https://a.example"},
        "contenthash": "0xe301",
    },
}
_QUERY = encode(["(address,string[],bytes)[]"], [[(ADDRESS, ["https://gw.example/{sender}/{data}"], b"\1" * 40)]])
_LOOKUP = encode(
    ["address", "string[]", "bytes", "bytes4", "bytes"],
    [ADDRESS, ["https://gw.example/{data}"], b"\1" * 36, b"\2" * 4, b""],
)
_ANSWERS = ('{"result":"0x01"}', '{"error":{"code":3,"data":"0x08c379a0"}}', '{"result":{"number":"0x1"}}')
_CALLS = [support.addr(NAME), support.text(NAME, "url"), support.multicall([support.contract_abi(NAME, 3)])]

TARGETS = (
    Target(
        "abi",
        abi,
        (encode(["address", "bytes", "string", "bytes[]"], [ADDRESS, b"ab", "c", [b"d", b"e"]]), b"\0" * 128),
    ),
    Target("ccip-calldata", calldata, tuple(support.resolve(NAME, call) for call in _CALLS)),
    Target("ccip-batch", batch, (QUERY + _QUERY,)),
    Target("offchain-lookup", off_chain, (_LOOKUP,)),
    Target("node-answer", node_answer, tuple(text.encode() for text in _ANSWERS), JSON_WORDS),
    Target("registry-document", registry_document, (json.dumps(_DOCUMENT).encode(),), JSON_WORDS),
)
