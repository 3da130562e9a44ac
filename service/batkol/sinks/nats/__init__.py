"""The sink of kind `nats`: events on JetStream, partials on core subjects."""
