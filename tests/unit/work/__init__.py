"""Tests of the worker: pure parts."""
