"""What the clients of all owners in one process share: connections to Redis, the artifact store, the ETA figures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType

from contract.artifacts.references import References
from contract.redis.client import open_redis
from contract.settings.artifact_storage import open_artifact_store, open_reference_files
from contract.settings.installation_secret import InstallationSecret
from contract.settings.loader import Settings
from contract.store.doorbell import Doorbell
from contract.store.new_job import KeepLimits
from contract.store.producer_store import ProducerStore
from producer.client.disk_floor import DiskFloor
from producer.client.eta import EtaCache
from producer.client.load_shedding import LoadShedder
from producer.client.redis_deadline import ANSWER_S
from producer.client.subscriber import JobSubscriber
from producer.imaging.sandbox import ImageSandbox


class Connections:
    """The connections of one process; `OwnerClient` is what one owner does over them."""

    def __init__(self, settings: Settings, *, roots: Sequence[Path] = ()) -> None:
        """Open connections; reference images may also lie below `roots`, next to workspace and media directory."""
        redis_url = settings.env.redis_url.get_secret_value()
        self.settings = settings
        self.redis = open_redis(redis_url, timeout_s=ANSWER_S / 2)
        env = settings.env
        keep = KeepLimits(env.keep_jobs_per_owner, env.keep_mb_per_owner * 2**20, env.keep_mb * 2**20)
        self.store = ProducerStore(self.redis, Doorbell(), retention_s=env.retention_seconds, keep=keep)
        self.subscriber = JobSubscriber(open_redis(redis_url, timeout_s=ANSWER_S / 2))
        self.artifacts = open_artifact_store(settings)
        self.sandbox = ImageSandbox()
        files = open_reference_files(settings, roots)
        self.references = References(self.artifacts, files, decoded=self.sandbox.decoded)
        self.secret = InstallationSecret(settings.home, settings.env.secret)
        self.disk_floor = DiskFloor(self.artifacts, least_free=settings.env.least_free_mb * 2**20)
        self.eta = EtaCache(self.store)
        self.load_shedder = LoadShedder()

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connections."""
        async with AsyncExitStack() as all_of_them:  # each is ended though another one fails
            all_of_them.push_async_callback(self.redis.aclose)
            all_of_them.push_async_callback(self.subscriber.close)
            all_of_them.push_async_callback(self.sandbox.close)

    def stop_waiting(self) -> None:
        """Let no client wait for a job any longer, because this process is about to end."""
        self.subscriber.stop_waiting()

    @property
    def is_stopping(self) -> bool:
        """Tell whether no client waits any longer."""
        return self.subscriber.is_closing
