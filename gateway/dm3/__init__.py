"""The DM3 message transport protocol in pure functions: text in, text out, no input or output of its own.

Canonical JSON, keys, encryption, messages, envelopes, postmarks and profiles, byte for byte as the reference
clients make and read them. Imports nothing of the gateway but ``ids`` and ``errors``.
"""
