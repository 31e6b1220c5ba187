"""A home in which several writers wrote about the same events: made up, and stored for real."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from benchmarks.ladder.texts import Written
from curec_assets.core.provenance import digest
from curec_assets.evidence.schema import EVENT_EVIDENCE
from curec_assets.explanation.levels import verdict_sentence
from curec_assets.policy.archive import ARCHIVE, write_archive
from curec_assets.serving.votes import Vote
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore, hash_files
from resources.storage.warehouse import Warehouse

HOSTILE = "<img src=x onerror=alert(1)> & Heat"
TITLES = (HOSTILE, "The Silent Harbor", "Alien 3")
USERS = 6
EVENTS = [f"e{number:02}" for number in range(24)]
DRAFTED = EVENTS[:8]
POLICY = "7aa5" * 4
"""A kept policy, which wrote other reasons and drafts."""
NOTE = "stricter than the crowd; likes drama more; likes none less"


class WrittenHome:
    """Warehouse and model store of `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.warehouse = Warehouse(path=str(folder / "warehouse.duckdb"))
        self.store = ModelStore(root=str(folder / "models"))

    def fill(self) -> None:
        """What the present policy and its aligned model wrote, and what it is about."""
        for name, rows in {
            "items": items(),
            "interactions": interactions(),
            "event_evidence": evidence(4),
            "recommendation_reasons": reasons(EVENTS, level=3).with_columns(note=pl.lit(NOTE)),
            "draft_reasons": reasons(DRAFTED, level=5).drop("source"),
        }.items():
            self.warehouse.write(name, rows, manifest(name, row_count=rows.height))
        self._walk("present", "present weights", EVENTS, level=3)

    def keep_policy(self) -> None:
        """Archive `POLICY`, as an earlier `retrain` left it."""
        self._walk("earlier", "earlier weights", EVENTS[4:], level=8)
        self._walk("present", "present weights", EVENTS, level=3)
        with self.store.writing(ARCHIVE) as files:
            tables = {"draft_reasons": reasons(DRAFTED, level=2), "event_evidence": evidence(2)}
            write_archive(files, [(rows, manifest(name)) for name, rows in tables.items()])
            members = {"draft_reasons": "f earlier drafts", "reason_policy": "f earlier weights"}
            made = manifest(ARCHIVE, fingerprint=POLICY, files=hash_files(files), inputs=members)
            self.store.commit(files, made)

    def write_rung(self, rung: str, events: Sequence[str], level: int) -> None:
        """As `make benchmark` keeps it."""
        rows = reasons(events, level=level).join(interactions(), on="event_id")
        Written(rung, rows.with_columns(note=pl.lit("")), "weights w").keep(self.folder)

    def _walk(self, fingerprint: str, weights: str, events: Sequence[str], level: int) -> None:
        with self.store.writing("generated_reasons") as files:
            rows = reasons(events, level=level).with_columns(note=pl.lit(NOTE))
            rows.write_parquet(files / "0000.parquet")
            self.store.commit(
                files,
                manifest(
                    "generated_reasons",
                    fingerprint=fingerprint,
                    files=hash_files(files),
                    inputs={"reason_policy": weights},
                    metrics={"reasons": rows.height},
                ),
            )


def items() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": [f"i{number}" for number in range(len(TITLES))],
            "title": list(TITLES),
            "attributes": [[{"kind": "genre", "value": "drama"}]] * len(TITLES),
        }
    )


def interactions() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "event_id": EVENTS,
            "user_id": [f"viewer-{number % USERS}" for number in range(len(EVENTS))],
            "item_id": [f"i{number % len(TITLES)}" for number in range(len(EVENTS))],
            "liked": [number % 3 == 0 or number % 7 == 0 for number in range(len(EVENTS))],
        }
    )


def evidence(strength: int) -> pl.DataFrame:
    """Of every event: two facts for it, the crowd's and the genre's."""
    facts = [
        {"kind": kind, "value": value, "contribution": 0.5, "strength": min(strength, 3)}
        for kind, value in (("crowd", None), ("attribute", "drama"))
    ]
    none = {"liked": None, "count": None, "of": None}
    return pl.DataFrame(
        {
            "event_id": EVENTS,
            "probability": [0.6] * len(EVENTS),
            "level": [1 + number % 9 for number in range(len(EVENTS))],
            "facts": [[{**fact, **none} for fact in facts]] * len(EVENTS),
        },
        schema=EVENT_EVIDENCE,
    )


def reasons(events: Sequence[str], *, level: int) -> pl.DataFrame:
    """Of levels `level`, `level` + 1, `level`, ...; each cites the first fact."""
    levels = [level + int(event[1:]) % 2 for event in events]
    whys = [f"People rate it highly, {each} of nine." for each in levels]
    return pl.DataFrame(
        {
            "event_id": list(events),
            "reason": [
                f"{verdict_sentence(each)} {why}" for each, why in zip(levels, whys, strict=True)
            ],
            "why": whys,
            "level": levels,
            "cited": [["F1"]] * len(levels),
            "source": ["policy"] * len(levels),
            "facts_left_out": [0] * len(levels),
        }
    )


def manifest(asset: str, **more: object) -> Manifest:
    values: Mapping[str, object] = {
        "asset": asset,
        "fingerprint": "f",
        "data_version": digest([asset]),
        "code_version": "c",
        "created_at": datetime.now(UTC),
        **more,
    }
    return Manifest.model_validate(values)


def vote(event_id: str, won: str = "a") -> Vote:
    """On reasons of nothing, about an event."""
    side = {"prompt": [{"role": "user", "content": HOSTILE}], "reason": HOSTILE, "completion": "x"}
    return Vote.model_validate(
        {
            "at": "2026-01-01T00:00:00Z",
            "event_id": event_id,
            "a": {**side, "writer": "reasons"},
            "b": {**side, "writer": "drafts"},
            "won": won,
        }
    )
