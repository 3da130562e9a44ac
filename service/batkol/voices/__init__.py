"""Voices: pieces of text in, mu-law out."""
