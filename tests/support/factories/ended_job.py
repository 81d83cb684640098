"""A job that has ended, with a path wherever one may be."""

from typing import Any

from contract.jobs.job import Degraded, Failure, Image, Job, JobState, Progress, Rendition, moment
from contract.jobs.request import JobRequest

ARTIFACT = "img_0123456789ab"
REFERENCES = ("/home/ann/fox.png", "fox.png", ARTIFACT, "latest", f"/media/{ARTIFACT}.png")


def a_job(**changes: Any) -> Job:
    """Make one, with these changes."""
    rendition = Rendition(provider="openrouter", model="a/b", image_size="1K")
    image = Image(
        id=ARTIFACT,
        index=0,
        path=f"/home/ann/media/{ARTIFACT}.png",
        mime="image/png",
        width=8,
        height=8,
        bytes=99,
        sha256="0" * 64,
        degraded=Degraded(requested=rendition, delivered=rendition, reason="2K timed out"),
        sidecar=f"/home/ann/media/{ARTIFACT}.json",
    )
    request = JobRequest(prompt="a fox", aspect_ratio="1:1", image_size="1K", reference_images=REFERENCES)
    values: dict[str, Any] = {
        "id": "00000000-0000-0000-0000-000000000007",
        "state": JobState.SUCCEEDED,
        "owner": "ann",
        "conversation": "chat",
        "created_at": moment(0),
        "started_at": moment(1000),
        "ended_at": moment(2000),
        "request": request,
        "position": None,
        "progress": Progress(done=1, count=1, message="1 of 1"),
        "images": (image,),
        "attempts": (),
        "degraded": image.degraded,
        "cost_usd": 0.04,
        "error": Failure(code="no_image", detail="The model answered without an image.", retryable=True),
    }
    return Job(**(values | changes))
