"""OpenTelemetry's environment, mended before it is read, and bounded exporters."""
