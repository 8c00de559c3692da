"""Who may speak: SPF, DKIM, DMARC and ARC of a mail at the door, and what follows for its sender.

`authenticator` asks the DNS, `decision` holds the table that decides, `trace` writes down what was found; what is
named after a protocol or a record is pure.
"""
