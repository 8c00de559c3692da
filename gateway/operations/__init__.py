"""Keeping a node alive: housekeeping, health, installation, and a native DM3 client for trying it out.

Imports custody, ens, store and dm3; stands beside relay and bridge and knows neither.
"""

from __future__ import annotations
