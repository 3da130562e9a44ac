"""`batkol gonogo`: the rehearsal of a rollout, with calls, and its verdict GO or NO-GO."""
