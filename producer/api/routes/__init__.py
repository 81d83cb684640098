"""Routes of Darkroom's own API."""
