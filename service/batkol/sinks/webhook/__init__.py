"""The sink of kind `webhook`: each event a signed request."""
