"""The processes that `darkroom up` starts and supervises."""
