# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Deposits of senders for tests
@license Apache-2.0
@notice Senders deposit, recipients ask for it, and the owner takes from those who sent spam
"""

owner: public(address)
stakeOf: public(HashMap[address, uint256])


@deploy
def __init__():
    self.owner = msg.sender


@external
@payable
def deposit():
    self.stakeOf[msg.sender] += msg.value


@external
def slash(sender: address, amount: uint256):
    assert msg.sender == self.owner, "not the owner"
    self.stakeOf[sender] -= amount
    send(self.owner, amount)
