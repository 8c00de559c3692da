# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A collection of single tokens for tests
@license Apache-2.0
@notice As much of ERC-721 as tells who owns what
"""

balanceOf: public(HashMap[address, uint256])
owners: HashMap[uint256, address]


@external
@view
def ownerOf(token: uint256) -> address:
    """
    @dev ERC-721 has this revert for a token that nobody owns
    """
    owner: address = self.owners[token]
    assert owner != empty(address), "no such token"
    return owner


@external
def mint(to: address, token: uint256):
    assert self.owners[token] == empty(address), "minted before"
    self.owners[token] = to
    self.balanceOf[to] += 1
