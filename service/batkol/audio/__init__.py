"""Audio without I/O, in audio time: mu-law, the ring, segments of speech, sound on its way out."""
