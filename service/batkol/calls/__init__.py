"""The owner of one call, the registry of all live calls, and the drain."""
