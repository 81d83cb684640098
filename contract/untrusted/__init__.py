"""What strangers sent: links that are checked, and images that are decoded in a sandbox. It knows no job."""
