"""The catalogue of bad input as tables: one row each, with the request that is made and the answer it must get."""
