"""Soniox's real-time recognition: a WebSocket a stream, mu-law out, sub-word tokens in."""
