"""The wanted objects of one agent, planned without I/O: `plan` has all of them."""
