"""The HTTP gateway: jobs, images and their compatible faces, for many users at once."""
