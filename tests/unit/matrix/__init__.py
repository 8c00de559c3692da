"""The pure parts of the Matrix adapter."""

from __future__ import annotations
