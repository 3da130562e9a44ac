"""Speech without I/O, in audio time: utterances, the timeline, attribution, breakers, text in pieces."""
