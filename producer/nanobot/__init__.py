"""The plugin for nanobot."""
