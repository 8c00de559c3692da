"""The contract between gateway and adapters."""
