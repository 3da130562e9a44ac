"""Feature flags by OpenFeature: streaming, replies, the answerer and the voice of each call."""
