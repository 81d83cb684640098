"""The processes in which answers are read and images decoded."""
