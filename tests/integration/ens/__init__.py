"""Look-ups, fetches and profiles over real sockets and a real chain."""
