"""MTA-STS (RFC 8461): what domains say about TLS to their mail servers, fetched over HTTPS and remembered.

`policy` reads records and files, `fetch` gets the file, `policies` decides which policy is in force.
"""
