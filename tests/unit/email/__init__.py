"""The pure parts of the e-mail adapter."""
