"""Webhooks: delivered at least once."""
