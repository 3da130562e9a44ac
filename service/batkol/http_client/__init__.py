"""Requests over kept connections, with a head that is made once and answers that are read cheaply."""
