"""`python -m curec_assets.cli`: the same as `curec`."""

import sys

from curec_assets.cli.app import main

sys.exit(main())
