"""The words of every error, by subject: one constant for each error code; `table` has them all."""
