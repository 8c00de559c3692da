"""The pure parts of the XMPP adapter."""
