"""What tells whether a queue and a disk can be used."""
