"""A local Ethereum chain inside this process, with the ENS contracts on it, and its JSON-RPC server.

``running_chain`` is the door: it starts the chain, founds the ENS world on it and serves both on 127.0.0.1.
Below it ``DevChain`` executes (py-evm, no sockets), ``rpc_app`` speaks JSON-RPC, ``EnsWorld`` writes names.
"""

from __future__ import annotations

from gateway.demo.chain.ens import EnsWorld
from gateway.demo.chain.evm import DevChain
from gateway.demo.chain.rpc import rpc_app
from gateway.demo.chain.running import RunningChain, running_chain

__all__ = ["DevChain", "EnsWorld", "RunningChain", "rpc_app", "running_chain"]
