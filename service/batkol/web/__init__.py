"""HTTP and WebSocket: Twilio's webhook and media, the internal API, the console, and their limits."""
