"""OpenAI's image API, and ModelScope's."""
