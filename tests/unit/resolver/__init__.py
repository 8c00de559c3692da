"""ABI, records, signer and endpoint of the CCIP-read resolver."""
