"""Tests of the house: pure parts."""
