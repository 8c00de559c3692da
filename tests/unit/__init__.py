"""Tests without sockets, databases or other processes."""
