"""Google's recognition: one session a call over many streams, and single requests."""
