"""Events of calls as they leave the process: their structs, their schema, and the bus to subscribers."""
