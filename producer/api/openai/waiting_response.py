"""Answers that wait for a job: one that is held back until its end, and one that tells how it goes.

For the first seconds an error keeps its status; after that the answer has begun with 200, and blanks keep it alive
until the JSON comes: `late_failure.py` has how a failure is told then. A client that goes away, and does not come back,
has its job cancelled.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager

from sse_starlette import EventSourceResponse
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contract.errors.exceptions import DarkroomError, Refused
from contract.jobs.job import Job
from producer.api.openai import error_envelope, response
from producer.api.openai.chunked_json import END, ChunkedJSONResponse, Part, pieces_of, send_parts
from producer.api.openai.response import ResponseContext
from producer.api.problem_details import headers_of, where
from producer.api.services.cancel_on_disconnect import gone
from producer.api.services.owner_turns import end_turn
from producer.error_catalogue import GATEWAY_STOPPING
from producer.error_log import report

logger = logging.getLogger(__name__)


class WaitingResponse(Response):
    """An answer that is held back until its job is over."""

    def __init__(
        self, context: ResponseContext, job: Job, *, place: AbstractContextManager[object], headers: dict[str, str]
    ) -> None:
        super().__init__(headers=headers, media_type="application/json")
        self._place = place  # among the answers that wait
        self._context = context
        self._job = job
        self._more = headers
        self._late = context.late
        self._is_sent_on = False
        self._env = context.gateway.settings.env

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, and answer; the job of a client that has gone is left to the `DisconnectTracker`."""
        end_turn(scope)
        disconnects = self._context.gateway.disconnects
        linger_s = self._env.linger_seconds
        with self._place, self._context.kept:
            async with disconnects.wait_for(self._job.id, linger_s=linger_s):
                finishing, leaving = asyncio.create_task(self._finish()), asyncio.create_task(gone(receive))
                try:
                    await self._hold(finishing, leaving, scope, receive, send)
                finally:
                    for task in (finishing, leaving):
                        task.cancel()
        if finishing.done() and not finishing.cancelled():
            await disconnects.stay(self._job.id)
        elif self._is_sent_on:
            async with disconnects.wait_for(self._job.id, linger_s=self._env.polling_linger_seconds):
                pass  # the client is on its way to the next address

    async def _hold(
        self,
        finishing: asyncio.Task[list[Part]],
        leaving: asyncio.Task[None],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        both = {finishing, leaving}
        open_s = self._late.open_s(self._env.grace_seconds)
        await asyncio.wait(both, timeout=open_s, return_when=asyncio.FIRST_COMPLETED)
        if finishing.done():
            await self._answer(finishing, scope)(scope, receive, send)
            return
        if leaving.done():
            return
        if self._late.next_address:
            self._is_sent_on = True
            await Response(status_code=303, headers={**self._more, "Location": self._late.next_address})(
                scope, receive, send
            )
            return
        await send({"type": "http.response.start", "status": 200, "headers": self._open_headers()})
        while not finishing.done() and not leaving.done():
            await send({"type": "http.response.body", "body": b"\n", "more_body": True})
            await asyncio.wait(both, timeout=self._env.heartbeat_seconds, return_when=asyncio.FIRST_COMPLETED)
        if finishing.done():
            await self._end(finishing, scope, send)

    def _answer(self, finishing: asyncio.Task[list[Part]], scope: Scope) -> Response:
        try:
            return ChunkedJSONResponse(finishing.result(), headers=self._more)
        except DarkroomError as error:
            status = error_envelope.status_of(error)
            report(error, where(scope), status=status, job_id=self._job.id)
            return error_envelope.answer(error, {**self._more, **headers_of(error)})

    async def _end(self, finishing: asyncio.Task[list[Part]], scope: Scope, send: Send) -> None:
        """Send the result of a job whose response has started; a failure may break the connection instead."""
        try:
            parts = finishing.result()
        except DarkroomError as error:
            report(error, where(scope), status=error_envelope.status_of(error), job_id=self._job.id)
            if await self._late.owe(self._context.caller.client, self._job):
                scope["state"]["cut"]()
                return
            parts = [json.dumps(error_envelope.envelope(error)).encode()]
        await send_parts(send, [*parts, END])

    def _open_headers(self) -> list[tuple[bytes, bytes]]:
        kept = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        return [*kept, (b"x-accel-buffering", b"no")]  # or nginx would keep the blanks

    async def _finish(self) -> list[Part]:
        job = await self._context.caller.client.wait(self._job.id)
        if not job.is_over:
            raise Refused(GATEWAY_STOPPING, retry_after_s=1)  # OpenAI's clients repeat it, and find the same job
        return await response.complete(self._context, job)


class EventStream(EventSourceResponse):
    """A job's story as events; news of the queue are comments, as typed ones would be misunderstood."""

    def __init__(
        self, context: ResponseContext, job: Job, *, place: AbstractContextManager[object], headers: dict[str, str]
    ) -> None:
        self._place = place  # among the answers that wait
        beat_s = context.gateway.settings.env.heartbeat_seconds
        super().__init__(
            _in_pieces(_tell(context, job), beat_s=beat_s),
            ping=0,  # it would come between two pieces
            headers={**headers, "Cache-Control": "private, no-store"},
        )
        self._context = context
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell it; the job is attended to from the first, as a client may have gone before anything is told."""
        end_turn(scope)
        gateway = self._context.gateway
        linger_s = gateway.settings.env.linger_seconds
        with self._place, self._context.kept:
            async with gateway.disconnects.wait_for(self._job.id, linger_s=linger_s):
                await super().__call__(scope, receive, send)


async def _tell(context: ResponseContext, job: Job) -> AsyncIterator[list[Part]]:
    try:
        async for event in response.events(context, job):
            yield event
    except DarkroomError as error:
        report(error, "the stream of a request", status=error_envelope.status_of(error), job_id=job.id)
        yield [b"event: error\ndata: ", json.dumps(error_envelope.envelope(error)).encode(), b"\n\n"]


async def _in_pieces(events: AsyncIterator[list[Part]], *, beat_s: float) -> AsyncIterator[bytes]:
    """Cut events into pieces, with a comment now and then as long as none comes; it ends if an image is deleted."""
    coming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            if not (await asyncio.wait({coming}, timeout=beat_s))[0]:
                yield response.comment("")
            elif (event := coming.result()) is None:
                return
            else:
                async for piece in pieces_of(event):
                    yield piece
                coming = asyncio.ensure_future(anext(events, None))
    except FileNotFoundError:
        logger.warning("a stream broke off: its image was deleted meanwhile")
    finally:
        coming.cancel()
