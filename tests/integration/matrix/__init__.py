"""The Matrix adapter and a real homeserver."""
