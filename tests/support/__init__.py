"""Helpers shared by the tests of all parts: real peers started on demand, and the rule for missing ones."""
