"""Whisper, the last fallback: over HTTP, or in the process."""
