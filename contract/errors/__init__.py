"""Errors: their kinds, their codes, their sentences."""
