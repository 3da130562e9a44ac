"""The synthetic voice: words with marks that the doubles read back."""
