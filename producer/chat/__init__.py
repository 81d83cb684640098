"""Jobs that are submitted from a chat: answered in their turn, or by a letter when they end later."""
