"""Recognizers: adapters from a vendor's recognition to results."""
