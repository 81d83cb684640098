"""The gateway's side: hands jobs in, follows them, and runs the embedded stack."""
