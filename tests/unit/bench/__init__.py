"""Tests of the benchmark's parts: no figure is checked, only that it is of what it says."""
