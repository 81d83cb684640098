"""Decisions: which call comes next, when, and whether a circuit breaker lets it pass."""
