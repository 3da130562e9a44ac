"""The VoiceAgent: its definition, its rules and its descriptions, without I/O."""
