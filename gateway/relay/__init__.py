"""The DM3 delivery service: takes envelopes by JSON-RPC, checks and stamps them, keeps them until picked up.

`submit` is the way of one envelope into the store, `rpc` and `rest` are its two doors, `sessions` knows who is
logged in. `forward` takes layers for other services and `forwarder` sends them on (README.md). Imports
custody, ens, store and dm3; knows nothing of adapters or the bridge.
"""

from __future__ import annotations
