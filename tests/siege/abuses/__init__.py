"""What one tenant may do to the others, by subject."""
