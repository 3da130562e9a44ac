"""Clients of the API server: what they may do, find and read, and how resources are named."""
