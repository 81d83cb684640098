"""The dialects of the providers, and what they have been asked."""
