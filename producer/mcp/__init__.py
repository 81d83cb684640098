"""The tools that chat programs find over MCP."""
