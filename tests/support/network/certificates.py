"""A certificate authority of the tests, and TLS servers that are good, expired, or signed by nobody.

A process trusts it when its SSL_CERT_FILE is `Certificates.file`. A wrong host is a good certificate for
another name.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


class Certificates:
    """Issues what TLS servers of one test show."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "ca.pem"
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(self.file)

    def client(self) -> ssl.SSLContext:
        """Make what a client that trusts this authority, and no other, connects with."""
        return ssl.create_default_context(cafile=str(self.file))

    def good(self, *names: str) -> ssl.SSLContext:
        """Make a server for names or addresses."""
        return _server(self._authority.issue_cert(*names))

    def own(self, folder: Path) -> dict[str, Path]:
        """Write a certificate for a client, and its key, and tell their files."""
        files = {"certfile": folder / "client.pem", "keyfile": folder / "client.key"}
        certificate = self._authority.issue_cert("client.example")
        certificate.cert_chain_pems[0].write_to_path(files["certfile"])
        certificate.private_key_pem.write_to_path(files["keyfile"])
        return files

    def require(self, server: ssl.SSLContext) -> None:
        """Let a server take only clients with a certificate of this authority."""
        server.verify_mode = ssl.CERT_REQUIRED
        self._authority.configure_trust(server)

    def expired(self, *names: str) -> ssl.SSLContext:
        """Make a server whose certificate was good until yesterday."""
        now = datetime.now(UTC)
        return _server(
            self._authority.issue_cert(*names, not_before=now - timedelta(days=9), not_after=now - timedelta(days=1))
        )

    def foreign(self, *names: str) -> ssl.SSLContext:
        """Make a server whose authority nobody knows."""
        return _server(trustme.CA().issue_cert(*names))

    def self_signed(self) -> ssl.SSLContext:
        """Make a server that shows a certificate signed by itself."""
        alone = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with trustme.Blob(alone.private_key_pem.bytes() + alone.cert_pem.bytes()).tempfile() as file:
            context.load_cert_chain(file)
        return context


def _server(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
