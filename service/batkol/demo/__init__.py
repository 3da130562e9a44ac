"""`batkol demo`: the service, its doubles and its callers in one process."""
