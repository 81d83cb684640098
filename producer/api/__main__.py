"""`python -m producer.api [config.json]`: a gateway in this process."""

from __future__ import annotations

import sys
from pathlib import Path

from contract.errors.exceptions import ConfigInvalid
from contract.settings.extras import check_extra

if __name__ == "__main__":
    try:
        check_extra("gateway", part="gateway")
        from producer.api.app import main  # needs the extra

        main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except ConfigInvalid as error:
        for problem in error.problems:
            sys.stderr.write(f"Error: {problem}\n")
        sys.exit(2)
