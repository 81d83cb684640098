"""MCP sessions over HTTP: whose they are, how many there may be, and copies of those of other gateways."""
