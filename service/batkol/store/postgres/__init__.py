"""Postgres: the tables, what is written, read, erased and deleted, and the outbox."""
