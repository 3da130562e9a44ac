"""`python -m batkol`."""

from batkol.main import app

app()
