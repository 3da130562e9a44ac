"""Connections to Google's APIs: pools of channels, endpoints, and the reasons of a refusal."""
