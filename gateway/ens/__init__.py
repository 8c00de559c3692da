"""Names and the chain: ENSIP-15 names, escapes of foreign ids, look-ups through ENS, profiles, guarded egress.

In charge of everything the gateway believes about a name of somebody else. Imports the protocol (``gateway.dm3``)
and the values below it; nothing of the store, the relay or the bridge.
"""
