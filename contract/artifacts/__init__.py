"""What lies in the media directory: images, their sidecars, and reference images."""
