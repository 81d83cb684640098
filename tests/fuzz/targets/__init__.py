"""What gets the input, and what has to hold for it."""
