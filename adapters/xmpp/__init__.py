"""XMPP as a foreign network of the gateway, by the component protocol (XEP-0114)."""

from __future__ import annotations
