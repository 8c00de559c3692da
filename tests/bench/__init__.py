"""How fast, beside what would be possible: see README.md. Nothing here asserts a time."""
