"""The loop of one agent: read, plan, apply, prune, ask the pods, write the status."""
