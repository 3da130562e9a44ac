"""Clients for rehearsals and demos: records of what a service said of its calls."""
