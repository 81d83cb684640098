"""The HTTP server of the simulator, well framed or not."""
