"""Tools in a turn: the built-in ones, those asked by webhook, and the rounds with their results."""
