"""Images that callers sent or see: checked and converted in a sandbox."""
