"""The CCIP-read endpoint over HTTP."""
