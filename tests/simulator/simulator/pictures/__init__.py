"""Pictures: drawn, damaged, foreign and explosive."""
