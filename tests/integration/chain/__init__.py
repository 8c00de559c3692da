"""The contracts on two machines (py-evm and anvil), and the chain's server over real sockets."""
