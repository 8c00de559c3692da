"""Matrix as a foreign network of the gateway, by the application service API."""

from __future__ import annotations
