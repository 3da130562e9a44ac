"""Definitions of tools, and the check of arguments against them, without I/O."""
