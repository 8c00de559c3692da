"""Tests of the HTTP side: pure parts."""
