"""Real clients of other people ask Darkroom for images, and a table tells how each fared: `make clients`."""
