"""`python -m worker [config.json]`: one worker process."""

from __future__ import annotations

import sys
from pathlib import Path

from contract.errors.exceptions import ConfigInvalid
from contract.settings.extras import check_extra

if __name__ == "__main__":
    try:
        check_extra("worker", part="worker")
        from worker.app import main  # needs the extra

        main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except ConfigInvalid as error:
        sys.stderr.writelines(f"Error: {problem}\n" for problem in error.problems)
        sys.exit(2)
