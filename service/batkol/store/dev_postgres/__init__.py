"""A Postgres for development and tests."""
