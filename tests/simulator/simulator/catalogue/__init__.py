"""The catalogue of misbehaviour, and how a step is chosen."""
