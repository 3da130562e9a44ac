"""Dialogues: files of what callers say and what the agent must do, tried against an answerer."""
