"""Recognition of the marked words, for the doubles that hear."""
