"""The benchmark as a whole, with numbers that mean nothing."""
