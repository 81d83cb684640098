"""What each client is told to do; a program prints as its last line what came of it, as JSON."""
