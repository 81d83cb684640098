"""What a webhook says of a job's end."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import standardwebhooks
from pydantic import SecretStr

from contract.jobs.job import TERMINAL, JobState
from contract.jobs.public_json import public_json
from contract.settings.installation_secret import InstallationSecret
from contract.webhook import signing_secret
from tests.support.factories.ended_job import a_job
from worker.webhooks.payload import event

SECRET = InstallationSecret(Path("/nowhere"), SecretStr("canary" * 6))


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_an_event_is_the_same_each_time_and_verifies(state: JobState) -> None:
    job = a_job(state=state)
    message, body = event(job)
    assert (message, body) == event(job)
    assert message == f"msg_{job.id}"
    told = json.loads(body)
    assert told == {"type": f"job.{state}", "timestamp": "1970-01-01T00:00:02Z", "data": public_json(job)}
    now, own = datetime.now(UTC), signing_secret(SECRET, "ann")
    signature = standardwebhooks.Webhook(own).sign(message, now, body.decode())
    headers = {"webhook-id": message, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    assert standardwebhooks.Webhook(own).verify(body, headers) == told
