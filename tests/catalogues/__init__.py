"""Tables of test cases."""
