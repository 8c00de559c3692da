"""A whole DM3 world on one machine: a local chain with the ENS contracts, peers, and a told story.

May import every other part of the gateway; nothing imports it but the command line.
"""

from __future__ import annotations
