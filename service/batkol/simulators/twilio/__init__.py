"""The simulated caller: Twilio's side of a call, with an ear."""
