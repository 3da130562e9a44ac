"""The double of Google's text to speech."""
