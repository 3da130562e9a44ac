"""Comparison of recognizers on speech whose words are known: `batkol compare`."""
