"""Store and queue in one database: the only SQL of the project.

In charge of what must survive: mailbox, lanes of jobs, names, identities, message map, sessions, leases. Callers give
``Store.commit`` an operation and ``Store.read`` a query, both plain values from the modules here; times are in them.
Imports ids and errors of the gateway, nothing above.
"""

from __future__ import annotations

from gateway.store.store import Store, now_ms

__all__ = ["Store", "now_ms"]
