"""The e-mail adapter against real SMTP and DNS peers."""
