"""The agent's other pods: their calls, their events, and commands that are for one of them."""
