"""Writing artifacts, and removing what was left incomplete."""
