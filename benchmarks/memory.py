"""Peak memory of every asset, as the last `make demo` of the home measured it.

`make bench-speed-memory`. Reads `costs.json`, which `curec demo` writes; runs nothing itself.
"""

import json

from benchmarks.harness import Record, parser
from benchmarks.tables import publish

COMMAND = "make bench-speed-memory"
_MOST_GIGABYTES = 6


def main() -> None:
    """Publish what was measured."""
    chosen = parser(__doc__).parse_args()
    path = chosen.home / "costs.json"
    if not path.exists():
        raise SystemExit(f"{path} is missing; run `make demo` with CUREC_HOME={chosen.home} first")
    costs = json.loads(path.read_text(encoding="utf-8"))
    if costs["profile"] != "laptop":
        raise SystemExit(f"{path} is of profile {costs['profile']!r}; the limit is for `laptop`")
    shared = [name for name, cost in costs["assets"].items() if not cost["peak_of_step"]]
    if shared:
        raise SystemExit(
            f"{path}: this system did not tell the peak of a single asset ({shared[0]}, ...); "
            "measure on Linux"
        )
    publish(
        [
            Record(
                name=f"`{name}`",
                value=round(cost["peak_gigabytes"], 2),
                low=round(cost["peak_gigabytes"], 2),
                high=round(cost["peak_gigabytes"], 2),
                unit="GB",
                target=f"<= {_MOST_GIGABYTES}",
                command=COMMAND,
                cores=cost["cores"],
                date=cost["date"],
            )
            for name, cost in sorted(
                costs["assets"].items(), key=lambda entry: -entry[1]["peak_gigabytes"]
            )
        ],
        chosen.figures,
    )


if __name__ == "__main__":
    main()
