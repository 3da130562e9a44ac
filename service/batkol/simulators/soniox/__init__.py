"""A double of Soniox's real-time speech recognition."""
