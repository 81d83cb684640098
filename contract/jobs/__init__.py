"""Jobs as data: what is asked for, what became of it, and how it is told."""
