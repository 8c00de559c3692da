"""Tests of the relay: against a running gateway."""
