"""Sidecars of images that nobody made."""

from __future__ import annotations

import hashlib

from contract.artifacts.sidecar import Sidecar
from contract.jobs.job import Rendition

AS_ASKED = Rendition(provider="openrouter", model="a/b", image_size="1K")


def a_sidecar(data: bytes, **fields: object) -> Sidecar:
    """Describe an image; `fields` replace those of a sidecar."""
    return Sidecar.model_validate(
        {
            "id": "img_0123456789ab",
            "path": "",
            "mime": "image/png",
            "prompt": "a fox",
            "model": "a/b",
            "provider": "openrouter",
            "source_images": (),
            "created_at": "2026-03-04T12:00:00+00:00",
            "job_id": "6f1c9a52-7a0e-4a3b-9a58-000000000001",
            "index": 0,
            "width": 1,
            "height": 1,
            "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "requested": AS_ASKED,
            "delivered": AS_ASKED,
            "degraded": None,
            "attempts": (),
            "cost_usd": None,
            **fields,
        }
    )
