"""Peers and networks that misbehave."""
