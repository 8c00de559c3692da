"""How an owner makes their name the primary name of their address (ENSIP-19): only they can, by a transaction."""

from __future__ import annotations

from typing import Any, Final

from gateway.dm3.eth import checksum, keccak256
from gateway.ens.abi import dynamic_bytes, pack
from gateway.store.names import NameRow
from gateway.subnames.records import EVM_BIT, records_of

MAINNET: Final = 1
REVERSE_REGISTRAR: Final = "0xa58E81fe9b61B5c3fE2AFD33CF304c454AbFc7Cb"
"""Of ENS on Ethereum; what it answers for is ``<address>.addr.reverse``."""
DEFAULT_REVERSE_REGISTRAR: Final = "0x283F227c4Bd38ecE252C4Ae7ECE650B0e913f1f9"
"""Of ENS on Ethereum; names for every EVM chain without an own one, ``<address>.default.reverse``."""
L2_REVERSE_REGISTRAR: Final = "0x0000000000D8e504002cC26E3Ec46D81971C1664"
"""Of ENS on each of these rollups, ``<address>.<coin type in hex>.reverse``."""
ROLLUPS: Final = {"Arbitrum One": 42161, "Base": 8453, "Linea": 59144, "OP Mainnet": 10, "Scroll": 534352}
SIGNATURE: Final = "setName(string)"


def primary_help(row: NameRow, chain_id: int) -> dict[str, Any]:
    """What to call, and whether it would have an effect: the name must point back at the address.

    ``contract`` is null on chains where ENS publishes none: there it is the owner of ``addr.reverse``.
    """
    lines = records_of(row)
    owner = None if row.owner is None else checksum(row.owner)
    default = lines.get(f"coin:{EVM_BIT}")
    calldata = keccak256(SIGNATURE.encode())[:4] + pack(dynamic_bytes(row.name.encode()))
    ethereum = chain_id == MAINNET
    own = {"works": owner is not None and lines.get("addr") == owner, "needs": f"record addr = {owner}"}
    every = {
        "works": owner is not None and default == owner.lower(),
        "needs": f"record coin:{EVM_BIT} = {owner}, unless the chain has a record of its own",
    }
    steps = [
        {"where": "Ethereum", "chain_id": chain_id, "contract": REVERSE_REGISTRAR if ethereum else None, **own},
        {
            "where": "every EVM chain that has no primary name of its own",
            "chain_id": chain_id,
            "contract": DEFAULT_REVERSE_REGISTRAR if ethereum else None,
            **every,
        },
    ]
    if ethereum:
        steps += [
            {"where": where, "chain_id": number, "contract": L2_REVERSE_REGISTRAR, **every}
            for where, number in ROLLUPS.items()
        ]
    return {
        "name": row.name,
        "from": owner,
        "function": SIGNATURE,
        "arguments": [row.name],
        "calldata": "0x" + calldata.hex(),
        "steps": steps,
    }
