"""Tests of operations against real stores and servers."""
