"""The voice double: OpenAI's text to speech, in the marked words."""
