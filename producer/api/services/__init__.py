"""What routes share: rate limits, signed links, readiness, sessions."""
