"""Batkol: phone calls become text, utterance by utterance."""

__version__ = "0.1.0"
