"""The live configuration: `tuning.json`, `flags.json` and `reply.json`, followed while the service runs."""
