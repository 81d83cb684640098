"""One run of a job, image by image."""
