"""Doubles of the vendors, strict and with faults by command, and simulated callers."""
