# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Wallet of one key, for tests
@license Apache-2.0
@notice Says which signatures are its own (ERC-1271)
"""

MAGIC: constant(bytes4) = 0x1626ba7e

key: public(address)


@deploy
def __init__(key: address):
    self.key = key


@external
def change(key: address):
    assert msg.sender == self.key, "not the key"
    self.key = key


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[512]) -> bytes4:
    if len(signature) != 65:
        return 0xffffffff
    r: uint256 = extract32(signature, 0, output_type=uint256)
    s: uint256 = extract32(signature, 32, output_type=uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    if ecrecover(digest, v, r, s) == self.key:
        return MAGIC
    return 0xffffffff
