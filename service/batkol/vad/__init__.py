"""Voice activity detection: the engines, and the scheduler that scores all calls at once."""
