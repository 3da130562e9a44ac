"""Clients of the pods: each pod's own `/v1/status`, and when it is asked."""
