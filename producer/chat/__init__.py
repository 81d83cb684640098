"""Jobs that are handed in from a chat: answered in their turn, or by a letter when they end later."""
