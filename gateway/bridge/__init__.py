"""Between envelopes and adapters: what comes out of the relay's store goes to a network, and the other way.

`inbound` opens envelopes for people of a network, `outbound` seals their messages for ENS names, `reports` tells them
what became of those, `context` is the gateway as an adapter sees it. Imports work, custody, sdk, ens, store and dm3;
the relay is handed in as a protocol by the app.
"""

from __future__ import annotations
