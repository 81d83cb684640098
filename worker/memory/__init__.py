"""How a worker's memory is divided, and who waits for room."""
