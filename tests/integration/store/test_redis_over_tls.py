"""A Redis that wants certificates of its clients: the address gives redis-py and Celery the same one."""

from __future__ import annotations

import asyncio

import pytest

from contract.redis.client import open_redis
from contract.store.celery_app import celery_app
from tests.support.network.broken_redis import behind_tls

pytestmark = pytest.mark.real_redis


async def test_the_job_table_and_the_doorbell_show_the_certificate_that_the_address_names() -> None:
    async with behind_tls("rediss", trusted=True, wants_client=True, known=True) as url:
        async with open_redis(url) as redis:
            assert await redis.ping()
        assert await asyncio.to_thread(_is_reached_by_celery, url)


def _is_reached_by_celery(url: str) -> bool:
    with celery_app(url).connection_for_write() as connection:
        return bool(connection.default_channel.client.ping())
