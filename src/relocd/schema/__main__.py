"""`python -m relocd.schema FOLDER` writes the schema and the access rules for the example suffix, in both forms."""

from __future__ import annotations

import sys
from pathlib import Path

from relocd.schema import acl, definitions

if len(sys.argv) != 2:
    sys.exit("usage: python -m relocd.schema FOLDER")
definitions.write(Path(sys.argv[1]))
acl.write(Path(sys.argv[1]))
