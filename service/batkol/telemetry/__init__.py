"""Metrics and logs, and the export of both and of spans, without knowledge of calls."""
