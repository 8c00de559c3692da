"""Custody against a real store."""
