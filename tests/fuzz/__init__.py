"""Parsers of untrusted bytes under a fuzzer that sees which lines an input reaches: `python -m tests.fuzz --help`."""
