"""Real mail servers for tests, in a network of their own where ports 25 and 53 are theirs."""
