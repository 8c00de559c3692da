"""Issuing names under our parents: who may have which, claims by wallet, orders of owners, the interface of programs.

Imports ``custody``, ``sdk``, ``ens``, ``store`` and ``dm3``. Pages are in ``web``, look-ups in ``resolver``.
"""
