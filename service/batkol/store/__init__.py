"""The store of calls: the journal first, Postgres after."""
