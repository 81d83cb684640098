"""Small image files as people and providers send them, made by a script: `python -m tests.support.pictures`."""
