"""The decision which recognizer hears an utterance, by flag and by failure."""
