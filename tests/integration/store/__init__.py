"""Tests of the store on real databases: every one on SQLite and on PostgreSQL unless it is about one of them."""
