"""Redis, workers, gateways and Flower as tests start them."""
