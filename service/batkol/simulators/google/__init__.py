"""The double of Google's recognition."""
