"""Jobs as data: the request, the result, and its wording."""
