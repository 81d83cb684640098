"""What providers' answers mean: errors, refusals, task states."""
