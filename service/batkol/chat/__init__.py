"""`batkol chat`: the agent in text, without a telephone."""
