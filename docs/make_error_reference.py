"""Writes docs/reference/errors.md from the catalogue of errors and what the worker does about each: `make docs`."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from contract.artifacts.references import MAX_EACH
from contract.aspect_ratio import RATIOS
from contract.errors.catalogue.table import CONFIGURATION, JOB, PROVIDER, QUEUE, REQUEST
from contract.errors.exceptions import DarkroomError
from contract.errors.kind import ErrorKind
from contract.jobs.job import Outcome
from contract.jobs.request import MAX_PROMPT, MAX_REFERENCES
from contract.settings.environment import Environment
from contract.untrusted.imaging.limits import MAX_REFERENCE_PIXELS
from producer.error_catalogue import ALL_KINDS, GATEWAY
from producer.validation.webhook_target import MAX_URL
from worker.answers.errors import ProviderError
from worker.policy.retry_policy import TRIES

PAGE = Path(__file__).with_name("reference") / "errors.md"
WORKER = Path(__file__).parents[1] / "worker"
BRANCHES = {branch.__name__: Outcome(branch.outcome) for branch in ProviderError.__subclasses__()}

# For each outcome of a call what Darkroom has done, and why; {tries} is how often one rung is called.
DONE = {
    Outcome.TRANSIENT: ("called {tries} times", "nothing was made, so each rung is called again with growing backoff"),
    Outcome.RATE_LIMITED: (
        "waited, called {tries} times",
        "each rung is called again after the wait that the provider asks for",
    ),
    Outcome.INTERRUPTED: (
        "called {tries} times at most",
        "it may have been billed, so a rung is not called more often",
    ),
    Outcome.TIMEOUT: ("tried the next rung", "it may have been billed; only the last rung is called a second time"),
    Outcome.UNUSABLE: ("tried another rung", "only one that differs where it matters: in provider, model or size"),
    Outcome.REJECTED: ("called no other rung", "refused content is not sent to another model or provider"),
}
# For these the code decides what is done: making the image again may be billed again.
PAID = {
    "result_expired": (
        "called 2 times in all",
        "the image was made and is lost, so it is made once more, counting all rungs",
    ),
    "result_unreachable": (
        "made no further call",
        "the image is made or being made, and fetching it was retried until the deadline",
    ),
}
VALUES: dict[str, dict[str, object]] = {
    "aspect_ratio_invalid": {"allowed": ", ".join(RATIOS)},
    "bad_image": {"reason": "it is truncated"},
    "bad_parameters": {"field": "image_size", "value": "4K", "reason": "no such size"},
    "config_invalid": {"problems": "DARKROOM_CONCURRENCY: must be 1 at least"},
    "content_refused": {"reason": "violence"},
    "count_out_of_range": {"max": 4},
    "model_excluded": {"reason": "No endpoints found matching your data policy."},
    "no_image": {"reason": "It said: I cannot draw that."},
    "prompt_too_long": {"max": MAX_PROMPT},
    "provider_error": {"reason": "The engine is warming up."},
    "provider_forbidden": {"reason": "No image models for this key."},
    "provider_rate_limited": {"wait": "5 min"},
    "provider_timeout": {"seconds": 120.0},
    "result_unreachable": {"reason": "provider down"},
    "reference_too_large": {"limit": f"{MAX_EACH // 2**20} MiB"},
    "timeout_out_of_range": {"field": "deadline_seconds", "max": Environment.model_fields["deadline_seconds"].default},
    "too_many_jobs": {"max": Environment.model_fields["max_jobs_per_owner"].default},
    "too_many_job_bytes": {"max": Environment.model_fields["keep_mb_per_owner"].default},
    "too_many_references": {"max": MAX_REFERENCES},
    "token_exists": {"name": "chat"},
    "token_not_found": {"name": "chat"},
    "too_many_uploads": {"max": 200},
    "type_error": {"field": "count", "expected": "it must be a whole number"},
    "unknown_field": {"field": "promt", "suggestion": "prompt"},
    "unknown_provider": {"provider": "midjourney"},
    "upload_image_too_large": {"limit": f"{MAX_REFERENCE_PIXELS['image/jpeg'] // 10**6} megapixels"},
    "upload_too_large": {"max": f"{MAX_EACH // 2**20} MiB"},
    "webhook_url_forbidden": {"max": MAX_URL},
}
NAMES: dict[str, object] = {"provider": "openrouter", "model": "openai/gpt-5.4-image-2"}

INTRODUCTION = """\
<!-- Made by `make docs` from contract/errors/catalogue/table.py and worker/: change those, not this page. -->

# Errors

Every error has a code for programs, which never changes, and a sentence for people. A failed job has both in `error`,
and its calls to providers in `attempts`. *Retry?* says whether the same request may succeed later. If the last cell is
empty, the sentence already says what to do.
"""
GROUPS = (
    (REQUEST, "Your request", """\
Reported before anything is queued: there is no job, no provider was called, nothing was spent. Two of them may also end
a job: `reference_unreadable`, and `reference_too_large` if a provider accepts less than Darkroom does."""),
    (CONFIGURATION, "Your configuration", """\
Reported at start or when a job is submitted; nothing is queued. `darkroom doctor` checks more."""),
    (QUEUE, "The queue", """\
The job was not accepted. Only if the response of Redis was lost, it may have been accepted once. With an
`idempotency_key` it is safe to submit it again. Jobs that were accepted earlier continue."""),
    (PROVIDER, "The provider", """\
Before you see one of these, Darkroom has retried what can be retried; of several errors it reports the most useful one.
A *rung* is one way to run the request: as requested, then cheaper and smaller, or your `DARKROOM_FALLBACKS`. When the
calls below have failed, the next rung is tried, until one succeeds. On the last one Darkroom waits for a provider that
is down or asks for a wait, as long as the job has time and calls left:"""),
    (JOB, "The job", """\
Finished images stay: a job with some of its images has succeeded, and its error says why the others are missing."""),
    (GATEWAY, "The gateway", """\
Reported by the HTTP gateway before anything is queued, or by `darkroom token`."""),
)  # fmt: skip


def page() -> str:
    """Compose the page."""
    return "\n".join([INTRODUCTION, *(part for group in GROUPS for part in _chapter(*group))])


def example(code: str) -> str:
    """Write the sentence of an error with all its values filled in."""
    names = {} if code in REQUEST else NAMES
    return DarkroomError(ALL_KINDS[code], **{**names, **VALUES.get(code, {})}).detail


def outcomes() -> dict[str, set[Outcome]]:
    """Find out how calls end that fail with a code: by the branches of ProviderError it is raised with."""
    found: defaultdict[str, set[Outcome]] = defaultdict(set)
    for path in WORKER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            for branch, code in _raised(node):
                found[code].add(BRANCHES[branch])
    return found


def _raised(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Read `Branch(KIND, …)` and the pair `(Branch, KIND)`."""
    if isinstance(node, ast.Call) and node.args:
        branch, code = node.func, node.args[0]
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2:
        branch, code = node.elts
    else:
        return
    if isinstance(branch, ast.Name) and branch.id in BRANCHES:
        codes = (node.id.lower() for node in ast.walk(code) if isinstance(node, ast.Name))
        yield from ((branch.id, code) for code in codes if code in ALL_KINDS)


def _chapter(kinds: dict[str, ErrorKind], title: str, introduction: str) -> Iterator[str]:
    yield f"## {title}\n\n{introduction}\n"
    if kinds is PROVIDER:
        yield from _legend()
    more = ["Darkroom has"] if kinds is PROVIDER else []
    yield _row("code", "sentence", *more, "retry?", "what you can do")
    yield _row(*["---"] * (4 + len(more)))
    done = outcomes()
    for code, kind in kinds.items():
        by_then = [_done(code, done[code])] if kinds is PROVIDER else []
        yield _row(f"`{code}`", example(code), *by_then, "yes" if kind.retryable else "no", kind.hint)
    yield ""


def _legend() -> Iterator[str]:
    for outcome, (name, why) in DONE.items():
        yield f"- *{name.format(tries=TRIES.get(outcome))}*: {why}"
    for name, why in PAID.values():
        yield f"- *{name}*: {why}"
    yield ""


def _done(code: str, outcomes: set[Outcome]) -> str:
    if code in PAID:
        return PAID[code][0]
    names = (name.format(tries=TRIES.get(outcome)) for outcome, (name, _) in DONE.items() if outcome in outcomes)
    return " or ".join(names)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page())
