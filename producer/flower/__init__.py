"""Flower as Darkroom runs it: its tasks are the jobs of the table, told by the journal."""
