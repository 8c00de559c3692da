"""Tests that break things on purpose: killed processes, cut connections."""
