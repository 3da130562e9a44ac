"""The double of Twilio's REST API."""
