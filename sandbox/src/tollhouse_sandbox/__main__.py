"""`python -m tollhouse_sandbox`."""

import sys

from tollhouse_sandbox.cli import main

sys.exit(main())
