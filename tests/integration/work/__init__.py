"""Tests of the worker: on real stores."""
