"""Tests of the bridge: pure parts."""
