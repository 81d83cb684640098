"""Images in the bodies of requests."""
