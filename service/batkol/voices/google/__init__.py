"""Google's voice: `StreamingSynthesize`, one session a reply."""
