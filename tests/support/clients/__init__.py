"""Clients: MCP, chat, OpenAPI."""
