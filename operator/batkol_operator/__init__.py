"""The operator: looks after the VoiceAgents of a cluster."""
