"""Tests of what watches a node: pure parts."""
