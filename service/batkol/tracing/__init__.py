"""Traces: the spans of calls, utterances, streams and replies."""
