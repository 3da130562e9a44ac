"""The cache of the objects that the operator watches, and the state of each."""
