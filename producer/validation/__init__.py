"""What a caller may ask for: the fields of a request, their check, and how an error of it is told."""
