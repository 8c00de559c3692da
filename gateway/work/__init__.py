"""Doing the jobs that wait in lanes: `worker` leases lanes and runs their jobs in order, on every node.

`results` is what the handler of a kind of job says about one, `ending` writes that down, `keeper` keeps the lease.
Handlers live above, in the relay and in the bridge. Imports store, errors and lifecycle only.
"""

from __future__ import annotations
