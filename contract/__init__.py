"""What the gateway's side and the worker's side must agree on, and only that."""
