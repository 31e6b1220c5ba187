"""CURec: recommendations that carry a reason, as a Dagster project."""

import os

# Polars' allocator keeps what was freed for half a second. Told to give it back at once, a step
# holds less and takes a little longer. Read when Polars is imported, so set before it is.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0")
