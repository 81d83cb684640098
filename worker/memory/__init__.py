"""How a worker's memory is divided, and which responses wait for room."""
