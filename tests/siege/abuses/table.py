"""The table of abuses: what each does, in the words of the report."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from tests.siege.abuses import bodies, connections, images, jobs
from tests.siege.abuses.mallory import Mallory

Deed = Callable[[Mallory], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Abuse:
    """One abuse, and what has to be there before it can begin."""

    words: str
    run: Deed
    prepare: Deed | None = None


ABUSES: Mapping[str, Abuse] = {
    "prompts": Abuse("prompts of 128 KB, submitted and cancelled", jobs.remember_long_prompts),
    "conversations": Abuse("conversations of 2 MB", jobs.remember_long_conversations),
    "hammer": Abuse("submits far above the rate, over 40 connections", jobs.hammer),
    "slots": Abuse("500 jobs that the provider does not answer", jobs.take_slots),
    "webhooks": Abuse("96 webhooks to hosts that hang, and more", jobs.hang_webhooks),
    "deletions": Abuse("deletions of jobs that are followed", jobs.delete_what_is_followed),
    "repeats": Abuse("one request with one key from 50 places", jobs.repeat_one_request),
    "broken": Abuse("clients that break off and come back", jobs.break_off),
    "users": Abuse("requests that name two users", jobs.name_two_users),
    "lists": Abuse("15 lists at once of 100 jobs of 128 KB", jobs.list_large_jobs, jobs.prepare_large_jobs),
    "guesses": Abuse("guesses of ids", jobs.guess),
    "polls": Abuse("4,000 long polls", connections.poll_long, connections.prepare_waiting_job),
    "idle": Abuse("5,000 connections without a token", connections.hold_idle),
    "streams": Abuse(
        "streams of events, opened again and again", connections.open_streams, connections.prepare_waiting_job
    ),
    "sessions": Abuse("sessions of MCP, opened and left", connections.open_sessions),
    "garbage": Abuse("bytes that are no requests", connections.send_garbage),
    "tokens": Abuse("requests with tokens that are none", connections.come_without_token),
    "unfinished edits": Abuse("20 JSON edits of 32 MiB that do not end", bodies.leave_edits),
    "unfinished uploads": Abuse("8 uploads of 32 MiB that do not end", bodies.leave_uploads),
    "edits": Abuse("20 JSON edits of 27 MB at once", bodies.send_edits),
    "uploads": Abuse("20 uploads of 20 MB at once", bodies.send_uploads),
    "answers": Abuse("12 answers of 90 MB at once", bodies.ask_for_large_answers, bodies.prepare_task),
    "unread": Abuse("60 large answers that are not read", bodies.read_nothing, bodies.prepare_task),
    "gone": Abuse("100 images of 38 megapixels whose senders hang up", images.leave_before_decoding),
    "large images": Abuse("30 images of 38 megapixels at once", images.decode_large),
    "bombs": Abuse("files that are bombs or broken", images.decode_bombs),
    "thumbnails": Abuse("thumbnails of a large image in all sizes", images.make_thumbnails, bodies.prepare_task),
}
