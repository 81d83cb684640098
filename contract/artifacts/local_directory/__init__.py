"""The artifact store in a directory: the only code that touches a path of the media directory."""
