"""DM3 Gateway: a relay of the DM3 network that is also a door to other chat networks.

The floors of this package, and who may import whom, are drawn in gateway/README.md.
"""

from __future__ import annotations

__version__ = "0.1.0"
