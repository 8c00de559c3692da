# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A coin for tests
@license Apache-2.0
@notice As much of ERC-20 as tells who has how much
"""

balanceOf: public(HashMap[address, uint256])


@external
def mint(to: address, amount: uint256):
    self.balanceOf[to] += amount


@external
def transfer(to: address, amount: uint256) -> bool:
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[to] += amount
    return True
