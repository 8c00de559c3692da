"""Tests of the keys of bridged people."""
