"""Tests of DM3 Gateway."""
