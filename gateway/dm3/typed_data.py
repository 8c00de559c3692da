"""Typed data that wallets show and sign (EIP-712): its digest, and its JSON form for ``eth_signTypedData_v4``.

Only the member types that orders need: ``string``, ``address``, ``uint256``, ``bool``, and structs and arrays of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.dm3.eth import address_bytes, keccak256
from gateway.ids import EthAddress

Fields = Sequence[tuple[str, str]]
"""Name and type of each member of a struct, in order."""

DOMAIN: Final = "EIP712Domain"
DOMAIN_FIELDS: Final[Fields] = (("name", "string"), ("version", "string"), ("chainId", "uint256"))


@dataclass(frozen=True, slots=True)
class TypedData:
    """A message of type ``primary`` and whom it is for; ``types`` holds every struct but the domain."""

    name: str
    """Who asks, as the wallet shows it."""
    version: str
    chain_id: int
    types: Mapping[str, Fields]
    primary: str
    message: Mapping[str, Any]

    def digest(self) -> bytes:
        """The 32 bytes that are signed: keccak256(0x1901 || domain separator || hash of the message)."""
        domain = _hash_struct(DOMAIN, self._domain(), {DOMAIN: DOMAIN_FIELDS})
        return keccak256(b"\x19\x01" + domain + _hash_struct(self.primary, self.message, self.types))

    def to_json(self) -> dict[str, Any]:
        """What a wallet is given; whole numbers as decimal texts, because JSON numbers of wallets end at 2^53."""
        types = {name: _fields_json(fields) for name, fields in {DOMAIN: DOMAIN_FIELDS, **self.types}.items()}
        message = _json_of(self.primary, self.message, self.types)
        return {"types": types, "primaryType": self.primary, "domain": self._domain(), "message": message}

    def _domain(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.version, "chainId": self.chain_id}


def _fields_json(fields: Fields) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in fields]


def _json_of(kind: str, value: Any, types: Mapping[str, Fields]) -> Any:
    if kind.endswith("[]"):
        return [_json_of(kind[:-2], each, types) for each in value]
    if kind in types:
        return {name: _json_of(member, value[name], types) for name, member in types[kind]}
    return str(value) if kind == "uint256" else value


def _hash_struct(kind: str, value: Mapping[str, Any], types: Mapping[str, Fields]) -> bytes:
    members = b"".join(_encode(member, value[name], types) for name, member in types[kind])
    return keccak256(keccak256(_type_text(kind, types).encode()) + members)


def _type_text(kind: str, types: Mapping[str, Fields]) -> str:
    """``Mail(Person from,string text)Person(string name)``: the type, then those it refers to in order of names."""
    others: set[str] = set()
    _collect(kind, types, others)
    return "".join(_own_text(each, types) for each in (kind, *sorted(others - {kind})))


def _collect(kind: str, types: Mapping[str, Fields], found: set[str]) -> None:
    for _, member in types[kind]:
        struct = member.removesuffix("[]")
        if struct in types and struct not in found:
            found.add(struct)
            _collect(struct, types, found)


def _own_text(kind: str, types: Mapping[str, Fields]) -> str:
    return f"{kind}({','.join(f'{member} {name}' for name, member in types[kind])})"


def _encode(kind: str, value: Any, types: Mapping[str, Fields]) -> bytes:
    if kind.endswith("[]"):
        return keccak256(b"".join(_encode(kind[:-2], each, types) for each in value))
    if kind in types:
        return _hash_struct(kind, value, types)
    match kind:
        case "string":
            return keccak256(str(value).encode())
        case "address":
            return address_bytes(EthAddress(value)).rjust(32, b"\0")
        case "uint256" | "bool":
            return int(value).to_bytes(32, "big")
    raise ValueError(f"no such type of a member: {kind}")
