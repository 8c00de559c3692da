"""Tests of the relay: pure parts."""
