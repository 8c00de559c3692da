"""Names, escapes, egress rules and look-ups."""
