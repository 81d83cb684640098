"""Makes the process that imports this the version that comes next: for fork servers, before all that is Darkroom's."""

from tests.support.process.another_version import step_ahead

step_ahead(1)
