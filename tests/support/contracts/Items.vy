# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A collection of tokens in several copies for tests
@license Apache-2.0
@notice As much of ERC-1155 as tells who has how many of what
"""

amounts: HashMap[address, HashMap[uint256, uint256]]


@external
@view
def balanceOf(owner: address, token: uint256) -> uint256:
    return self.amounts[owner][token]


@external
def mint(to: address, token: uint256, amount: uint256):
    self.amounts[to][token] += amount
