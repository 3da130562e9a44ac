"""The status of an agent: the judgement on it, its conditions and its events."""
