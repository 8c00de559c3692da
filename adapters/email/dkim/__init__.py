"""What signing and verifying by DKIM (RFC 6376) have in common: header fields as bytes, and canonical forms. Pure."""
