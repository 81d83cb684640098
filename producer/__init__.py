"""The gateway's side: submits jobs, follows them, and runs the embedded stack."""
