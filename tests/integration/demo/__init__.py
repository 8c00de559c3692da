"""Tests of the demo: against a running gateway."""
