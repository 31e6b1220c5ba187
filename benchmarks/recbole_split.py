"""RecBole loads events and splits them in time; run by the Python of `.venv-recbole`.

`python recbole_split.py FOLDER` reads FOLDER/curec/curec.inter and prints one JSON line: seconds of
RecBole's own `create_dataset` and `build`, without its imports, and the process's peak memory.
"""

import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    """Load, split, tell."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever RecBole prints goes to standard error
    from recbole.config import Config
    from recbole.data import create_dataset

    settings = {
        "data_path": sys.argv[1],
        "load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]},
        "eval_args": {
            "split": {"RS": [0.8, 0.1, 0.1]},
            "order": "TO",
            "group_by": "none",
            "mode": "full",
        },
        "use_gpu": False,
        "state": "WARNING",
    }
    config = Config(model="BPR", dataset="curec", config_dict=settings)
    began = time.perf_counter()
    parts = create_dataset(config).build()
    seconds = time.perf_counter() - began
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = int(status.split("VmHWM:", 1)[1].split(maxsplit=1)[0]) * 1024 / 1e9
    print(
        json.dumps(
            {"seconds": seconds, "gigabytes": peak, "events": [len(part) for part in parts]}
        ),
        file=answer,
    )


if __name__ == "__main__":
    main()
