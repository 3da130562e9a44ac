"""Answerers: a question in, pieces of text out, from echo, a language model or a bot of the user's own."""
