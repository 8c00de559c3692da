"""Tests against real peers: sockets, chains, databases."""
