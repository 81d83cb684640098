"""Signed links: valid for a while, for one image in one size."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import pytest

from contract.errors.exceptions import Refused
from producer.api.services.signed_links import SignedLinks

ARTIFACT = "img_ab12cd34ef56"
LINKS = SignedLinks(b"k" * 32, valid_s=3600)


def parts(link: str) -> dict[str, str]:
    """Read the parameters of a link."""
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


def check(artifact: str = ARTIFACT, thumbnail: int | None = None, links: SignedLinks = LINKS, **changed: str) -> None:
    given = parts(LINKS.sign(ARTIFACT)) | changed
    links.check(artifact, thumbnail=thumbnail, expires=int(given["expires"]), signature=given["signature"])


def test_a_link_is_valid_and_the_same_within_its_period() -> None:
    check()
    assert LINKS.sign(ARTIFACT) == LINKS.sign(ARTIFACT)
    assert urlsplit(LINKS.sign(ARTIFACT)).path == f"/v1/artifacts/{ARTIFACT}"
    assert 3600 <= int(parts(LINKS.sign(ARTIFACT))["expires"]) - time.time() <= 7200


def test_a_link_to_a_thumbnail_is_for_that_size_only() -> None:
    given = parts(LINKS.sign(ARTIFACT, thumbnail=512))
    LINKS.check(ARTIFACT, thumbnail=512, expires=int(given["expires"]), signature=given["signature"])
    for other in (None, 256):
        with pytest.raises(Refused, match="not valid"):
            LINKS.check(ARTIFACT, thumbnail=other, expires=int(given["expires"]), signature=given["signature"])


@pytest.mark.parametrize("expires", ["0", "99999999999"])
def test_the_time_of_a_link_cannot_be_changed(expires: str) -> None:
    with pytest.raises(Refused) as caught:
        check(expires=expires)
    assert caught.value.code == "link_expired"


@pytest.mark.parametrize("signature", ["", "0" * 64, "é" * 64])
def test_a_signature_cannot_be_guessed(signature: str) -> None:
    with pytest.raises(Refused):
        check(signature=signature)


def test_a_link_is_for_one_image_and_of_one_key() -> None:
    with pytest.raises(Refused):
        check("img_000000000000")
    with pytest.raises(Refused):
        check(links=SignedLinks(b"x" * 32, valid_s=3600))


def test_a_link_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    given = parts(LINKS.sign(ARTIFACT))
    monkeypatch.setattr(time, "time", lambda: float(given["expires"]))
    with pytest.raises(Refused):
        LINKS.check(ARTIFACT, thumbnail=None, expires=int(given["expires"]), signature=given["signature"])
