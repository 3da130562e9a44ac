"""Twilio's protocol without I/O: messages, streams, signatures, tokens, TwiML."""
