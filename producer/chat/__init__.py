"""Jobs that are submitted from a chat: answered in their turn, or by a late delivery when they end later."""
