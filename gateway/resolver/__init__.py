"""The CCIP-read resolver: answers, outside the chain, for every name under our parent (ERC-3668, ENSIP-10).

In charge of reading calldata, finding records, signing answers and speaking HTTP. Imports ``ens``, ``store`` and
``dm3``; not ``custody``: whoever builds the resolver hands in what makes a person's signed profile.
"""
