"""Supervision: background tasks and threads, started again when they die."""
