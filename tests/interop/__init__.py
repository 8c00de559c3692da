"""Tests against other people's programs: published clients and libraries."""
