"""Registries of other systems: the parts that need no socket."""
