"""The real nanobot: installed in a throw-away venv, with a model that a test scripts, and spoken to."""
