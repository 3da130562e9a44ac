"""One session a call over many streams, of any recognizer: what a recognizer must have, and what all of them share."""
