"""Random input for whatever reads some: `laws.py` says what has to hold, `inputs` what comes, `targets` who gets it."""
