"""Generators of random input: hostile texts, edits of JSON, mutants of image files."""
