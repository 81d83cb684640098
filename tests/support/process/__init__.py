"""Processes with a wrong clock, little memory, or a stalled loop."""
