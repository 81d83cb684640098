"""Artifact stores for tests."""
