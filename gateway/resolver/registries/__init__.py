"""Registries of other systems, whose names are served below ours: a web server's, another chain's, another zone's.

Each is a `Registry`: what is common to all (the mapping of names, memory, bounds) around an `Origin`, which is one way
to read records. `Registries` asks them in order.
"""
