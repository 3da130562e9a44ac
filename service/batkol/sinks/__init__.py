"""Sinks: the events of calls, handed on to other systems from what the store keeps, never from the audio path."""
