"""What an answer only promises: a task is polled until it has ended, a picture behind a link is downloaded.

Both cost nothing, while to make the picture again would be paid again. So what fails in passing is repeated until
the job's time is over, and then told as `result_unreachable`; the ladder makes no further call after that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ParamSpec, TypeVar
from urllib.parse import urljoin, urlsplit

import httpx
from tenacity import RetryCallState

from contract.errors.catalogue.provider import PROVIDER_TIMEOUT, RESULT_EXPIRED, RESULT_UNREACHABLE, UNSAFE_URL
from contract.settings.nanobot_config import ProviderConfig
from worker.answers.error_classification import of_poll, of_silence
from worker.answers.errors import Interrupted, ProviderError, TimedOut, Unusable
from worker.answers.untrusted_json import Json
from worker.http.download import Downloader
from worker.memory.body_room import BodyRoom
from worker.memory.budget import Share
from worker.policy.backoff import fetching, is_settled, may_pass
from worker.providers.provider import Provider, headers
from worker.sandbox.pool import Picture, Reading, Sandbox

EMPTY_LOOKS = 5  # at a task that says it is done, and has no picture
ROUNDS = 3  # over the links of one answer once one of them has brought a picture
TOLD_AT = 3  # failed tries in a row, after which the log says so

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class CallProgress:
    """What is known of a call that goes on: whether its answer is coming, and what it has cost by then."""

    is_coming: bool = False
    cost_usd: float | None = None
    tell: Callable[[ProviderError], Awaitable[None]] | None = (
        None  # gets the reason why the result cannot be fetched yet
    )


@dataclass(frozen=True, slots=True)
class Clock:
    """When a call has to end, by the event loop's time, and the memory that it holds.

    Its answer has to begin by `begin_by` and to be here by `end_by`; what has been made is fetched until `fetch_by`.
    """

    begin_by: float
    end_by: float
    fetch_by: float
    share: Share
    progress: CallProgress = field(default_factory=CallProgress)


OfFailure = Callable[[int, Mapping[str, str], Json], Exception]
Receive = Callable[[httpx.Request, Clock, OfFailure, BodyRoom], Awaitable[bytearray]]


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """What one call brought, and its cost if the provider says it."""

    picture: Picture
    cost_usd: float | None
    more: tuple[Picture, ...] = ()  # good ones, as far as the job misses images
    unused: int = 0
    left: int = 0  # of these, not decoded


class Downloads:
    """The links of one answer: which are still to be tried, and the good pictures that they brought."""

    def __init__(self, links: list[str], most: int) -> None:
        self.good: dict[str, Picture] = {}  # by sha256
        self._left = list(links)
        self._most = most
        self._rounds = 0

    @property
    def left(self) -> int:
        """Count the links that were not followed."""
        return len(set(self._left))

    async def go_round(self, download: Callable[[str], Awaitable[Picture | None]]) -> None:
        """Try each link once. Raises ProviderError where it is worth while to try again, or nothing was good."""
        failures: list[ProviderError] = []
        for link in list(self._left):
            if len(self.good) == self._most:
                return
            try:
                picture = await download(link)
            except ProviderError as error:
                failures.append(error)
                if may_pass(error):
                    continue
            else:
                if picture:
                    self.good.setdefault(picture.sha256, picture)
            self._left.remove(link)
        self._rounds += 1
        is_enough = self.good and (not self._left or self._rounds == ROUNDS)
        if failures and not is_enough:
            raise next(filter(may_pass, failures), failures[0])


class Results:
    """Fetches what the calls of one job to one provider promised."""

    def __init__(
        self,
        provider: Provider,
        config: ProviderConfig,
        *,
        api_base: str,
        client: httpx.AsyncClient,
        receive: Receive,
        downloader: Downloader,
        sandbox: Sandbox,
        idle_s: float,
        retry_s: float,
        job_id: str,
    ) -> None:
        self._provider = provider
        self._config = config
        self._api_base = api_base
        self._client = client
        self._receive = receive
        self._fetcher = downloader
        self._sandbox = sandbox
        self._idle_s = idle_s
        self._retry_s = retry_s
        self._job_id = job_id

    async def bring(self, answer: Reading, clock: Clock, *, most: int) -> GeneratedImage:
        """Get an answer's pictures, wherever they are by now. Raises ProviderError."""
        cost_usd = answer.cost_usd
        if answer.poll_url:
            answer = await self._poll(answer.poll_url, clock, most)
            cost_usd = answer.cost_usd if cost_usd is None else cost_usd
        pictures = [answer.picture, *answer.more] if answer.picture else []
        unused, left = answer.extras, answer.left
        if answer.link:
            pictures, left = await self._follow([answer.link, *answer.links], clock, most)
            unused = answer.extras + 1 - len(pictures)
        if not pictures:
            raise of_silence("")
        told = (f"{unused} more in the same answer were not used.",) if unused else ()
        first = replace(pictures[0], warnings=(*pictures[0].warnings, *told))
        return GeneratedImage(first, cost_usd, more=tuple(pictures[1:]), unused=unused, left=left)

    async def _poll(self, poll_url: str, clock: Clock, most: int) -> Reading:
        """Ask again until there is a picture; only a look that was answered can end it when its time is over."""
        url, is_own = self._address(poll_url)
        answer, empty = Reading(), 0
        while True:
            left_s = clock.fetch_by - _now() if answer.is_done else clock.begin_by - _now()
            await asyncio.sleep(min(self._provider.poll_interval_s, max(0.0, left_s)))
            answer = await self._patiently(clock, self._look, url, is_own, clock, most)
            if answer.picture or answer.link:
                return answer
            empty = empty + 1 if answer.is_done else 0
            if empty >= EMPTY_LOOKS or (answer.is_done and _now() >= clock.fetch_by):
                raise Interrupted(RESULT_EXPIRED, http_status=200)
            if not answer.is_done and _now() >= clock.begin_by:
                raise TimedOut(PROVIDER_TIMEOUT)

    def _address(self, poll_url: str) -> tuple[str, bool]:
        """Find where to ask, and whether that is the provider's own host, to which the key may go."""
        try:
            url = urljoin(self._api_base + "/", poll_url)
            return url, urlsplit(url)[:2] == urlsplit(self._api_base)[:2]
        except ValueError as error:
            raise Unusable(UNSAFE_URL) from error

    async def _look(self, url: str, is_own: bool, clock: Clock, most: int) -> Reading:
        by = min(clock.fetch_by, _now() + self._idle_s)
        clock = replace(clock, begin_by=by, end_by=clock.fetch_by)
        try:
            if is_own:
                request = self._client.build_request("GET", url, headers=headers(self._config))
            else:
                request = await self._fetcher.request(self._client, url)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise Unusable(UNSAFE_URL) from error
        with BodyRoom(clock.share) as room:
            try:
                body = await self._receive(request, clock, of_poll, room)
            except ProviderError as error:
                if is_own:
                    raise
                raise self._fetcher.failed(error, url).elsewhere() from error.__cause__
            reading = await self._sandbox.read(body, provider=self._provider.name, most=most, is_poll=True)
            room.keep(reading.size)
            return reading

    async def _follow(self, links: list[str], clock: Clock, most: int) -> tuple[list[Picture], int]:
        """Download until there are enough good pictures; where none is good, as long as one may still come.

        Answers also how many links are left that were not needed.
        """
        downloads = Downloads(links, most)
        try:
            await self._patiently(clock, downloads.go_round, partial(self._download, clock.share))
        except ProviderError as error:
            if not downloads.good:
                raise (error.elsewhere() if error.code == RESULT_UNREACHABLE.code else error) from error.__cause__
        return list(downloads.good.values()), downloads.left

    async def _download(self, share: Share, url: str) -> Picture | None:
        with BodyRoom(share) as room:
            data = await self._fetcher.fetch(url, room=room)
            reading = await self._sandbox.read(data)
            room.keep(reading.size)
            return reading.picture

    async def _patiently(self, clock: Clock, step: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Repeat what costs nothing until it succeeds, is settled, or the job's time is over."""
        last: ProviderError = TimedOut(PROVIDER_TIMEOUT)

        async def notice(state: RetryCallState) -> None:
            nonlocal last
            failure = state.outcome.exception() if state.outcome else None
            last = failure if isinstance(failure, ProviderError) else last
            if state.attempt_number == TOLD_AT:
                await self._tell(last, clock.progress)

        try:
            async with asyncio.timeout_at(clock.fetch_by):
                pace = fetching(self._retry_s, left_s=clock.fetch_by - _now(), noticed=notice)
                return await pace(step, *args, **kwargs)
        except TimeoutError as error:
            raise unreachable(last) from error
        except ProviderError as error:
            if is_settled(error):
                raise
            raise unreachable(error) from error

    async def _tell(self, error: ProviderError, progress: CallProgress) -> None:
        logger.warning(
            "what %s has made cannot be fetched yet (%s); it is tried as long as the job has time",
            self._provider.name,
            error.code,
            extra={"job_id": self._job_id},
        )
        if progress.tell:
            await progress.tell(error)


def unreachable(error: ProviderError) -> ProviderError:
    """Tell that what has been made, or is being made, cannot be fetched, and why."""
    found = Interrupted(RESULT_UNREACHABLE, http_status=error.http_status, reason=error.kind.title.lower())
    return found.elsewhere() if error.is_elsewhere else found


def _now() -> float:
    return asyncio.get_running_loop().time()
