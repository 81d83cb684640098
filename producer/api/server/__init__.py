"""The server below the routes: limits of time and size, strict HTTP/1.1, security headers."""
