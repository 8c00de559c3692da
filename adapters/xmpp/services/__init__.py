"""What the component and its contacts answer when they are asked: one protocol a module, all of it pure."""

from __future__ import annotations
