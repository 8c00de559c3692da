"""Tests of the bridge: against a running gateway."""
