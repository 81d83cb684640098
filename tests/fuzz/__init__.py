"""Random input for whatever reads some: `laws.py` lists what has to hold, the other modules say what comes."""
