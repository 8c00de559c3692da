"""Tests of the protocol functions."""
