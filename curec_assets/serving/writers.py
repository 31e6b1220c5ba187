"""Whose reasons a home holds, and what each wrote: read as it is stored, no model is loaded."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from curec_assets.core.seeds import random_generator
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Catalogue, Facts, facts_by_event
from curec_assets.policy.archive import ARCHIVE, members
from curec_assets.settings import Profile
from resources.errors import ArtifactError, ConfigError
from resources.storage.manifest import Manifest
from resources.storage.model_store import Artifact, ModelStore
from resources.storage.warehouse import Warehouse

REASONS, DRAFTS, COMPOSER = "reasons", "drafts", "composer"
"""What the present policy wrote, what the aligned model wrote, and what no model wrote."""
WRITTEN = pl.Schema(
    {
        "event_id": pl.String(),
        "reason": pl.String(),
        "why": pl.String(),
        "level": pl.Int64(),
        "cited": pl.List(pl.String()),
        "source": pl.String(),
        "note": pl.String(),  # the user's, as the writer was told it; else empty
        "facts_left_out": pl.Int64(),
    }
)
"""What is read of every writer; see `WrittenReason`."""
BENCHMARK = "benchmark"
"""Folder of the home: what `make benchmark` keeps."""
_TABLES = {REASONS: "recommendation_reasons", DRAFTS: "draft_reasons"}
_WALK = "generated_reasons"
_IF_NOT_STORED = {"source": "policy", "note": ""}


@dataclass(frozen=True)
class _Source:
    """One writer's reasons, where they are kept."""

    about: str
    rows: Callable[[], pl.DataFrame]
    evidence: Callable[[Sequence[str]], pl.DataFrame]
    """event_id, level, facts of these events: what its prompts were made from."""


def rung_file(home: Path, rung: str) -> Path:
    """Where `make benchmark` keeps the texts of a rung: `WRITTEN`, and whose they are."""
    return home / BENCHMARK / "texts" / f"{rung}.parquet"


class Writers:
    """Everybody who wrote reasons in one home, as it is when this is made."""

    def __init__(self, warehouse: Warehouse, store: ModelStore, profile: Profile) -> None:
        """`profile`: the one that the home was made with."""
        self._warehouse = warehouse
        self._store = store
        self._profile = profile
        self._stored = dict(self._sources())
        self._composes = warehouse.has("event_evidence")

    def names(self) -> dict[str, str]:
        """Name → who it is."""
        stored = {name: source.about for name, source in self._stored.items()}
        if not self._composes:
            return stored
        return {
            **stored,
            COMPOSER: "no model: our composer, at the evidence's level, made now of the facts of "
            "whatever events the other has",
        }

    def named(self, text: str) -> str:
        """The name that `text` is, or how only one begins. Raises `ConfigError` for any other."""
        names = list(self.names())
        found = [name for name in names if name == text]
        found = found or [name for name in names if text and name.startswith(text)]
        if len(found) != 1:
            raise ConfigError(
                f"nobody in this home is called {text!r}; found "
                f"{', '.join(names) or 'nobody, for nothing is made yet'}; give one of these "
                "names, or how only one of them begins (`curec compare` tells who they are)"
            )
        return found[0]

    def written(self, a: str, b: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """`WRITTEN` of two names. Raises `ConfigError` where they are one and the same.

        The composer's reasons are made now, for the events of the other one.
        """
        if a == b:
            raise ConfigError(f"{a!r} is named twice; name two different ones to compare")
        if a == COMPOSER:
            rows = _read(self._stored[b].rows())
            return self._composed(rows["event_id"]), rows
        rows = _read(self._stored[a].rows())
        if b == COMPOSER:
            return rows, self._composed(rows["event_id"])
        return rows, _read(self._stored[b].rows())

    def facts(self, name: str, event_id: str, item_id: str) -> Facts:
        """What a writer was told of an event, but for the note and what was left out.

        Nothing but the item where that is no longer stored.
        """
        events = pl.DataFrame({"event_id": [event_id], "item_id": [item_id]})
        find = self._evidence if name == COMPOSER else self._stored[name].evidence
        settings = self._profile.explanation
        return facts_by_event(events, find([event_id]), self._catalogue(), settings)[event_id]

    def _sources(self) -> Iterator[tuple[str, _Source]]:
        warehouse = self._warehouse
        about = {
            REASONS: "the present policy, its notes corrected in the order of time",
            DRAFTS: "the aligned model, before reinforcement: its first attempts",
        }
        for name, table in _TABLES.items():
            manifest = warehouse.manifest(table)
            if manifest:
                said = f"{about[name]} ({manifest.row_count} events)"
                yield name, _Source(said, partial(warehouse.read, table), self._evidence)
        for archive in self._store.versions(ARCHIVE):
            yield from self._kept(archive)
        for file in sorted(rung_file(Path(self._store.root).parent, "*").parent.glob("*.parquet")):
            rows = pl.scan_parquet(file).select(pl.len(), pl.first("made_with")).collect()
            count, made_with = rows.row(0)
            said = f"the ladder's rung of that name, {made_with} ({count} events)"
            yield file.stem, _Source(said, partial(pl.read_parquet, file), self._evidence)

    def _kept(self, archive: Manifest) -> Iterator[tuple[str, _Source]]:
        """Of a policy that is kept: what is not what the tables hold."""
        policy, belongs = archive.fingerprint, members(archive)
        evidence = partial(self._archived_evidence, policy)
        when = f"policy {policy} of {archive.created_at:%Y-%m-%d %H:%M}"
        present = self._warehouse.manifest("draft_reasons")
        _, drafts = belongs["draft_reasons"]
        if present is None or present.data_version != drafts:
            rows = partial(self._archived, policy, "draft_reasons")
            yield f"{DRAFTS}@{policy}", _Source(f"the aligned model of {when}", rows, evidence)
        _, weights = belongs["reason_policy"]
        walks = [
            each
            for each in self._store.versions(_WALK)
            if each.inputs.get("reason_policy") == weights
        ]
        current = self._store.current_fingerprint(_WALK)
        if walks and current not in [each.fingerprint for each in walks]:
            said = f"{when} ({walks[-1].metrics['reasons']} events)"
            rows = partial(self._walked, walks[-1].fingerprint)
            yield f"{REASONS}@{policy}", _Source(said, rows, evidence)

    def _artifact(self, asset: str, fingerprint: str) -> Artifact:
        found = self._store.find(asset, fingerprint)
        if found is None:
            raise ArtifactError(
                f"{asset!r} {fingerprint} was there and is not any more: it was pruned, or "
                "somebody is forgotten; compare others"
            )
        return found

    def _walked(self, fingerprint: str) -> pl.DataFrame:
        shards = sorted(self._artifact(_WALK, fingerprint).path.glob("*.parquet"))
        return pl.concat(map(pl.read_parquet, shards))

    def _archived(self, policy: str, table: str) -> pl.DataFrame:
        return pl.read_parquet(self._artifact(ARCHIVE, policy).path / table / "rows.parquet")

    def _archived_evidence(self, policy: str, event_ids: Sequence[str]) -> pl.DataFrame:
        rows = self._archived(policy, "event_evidence")
        return rows.filter(pl.col("event_id").is_in(list(event_ids)))

    def _evidence(self, event_ids: Sequence[str]) -> pl.DataFrame:
        return self._warehouse.matching("event_evidence", _keys(event_ids))

    def _composed(self, event_ids: pl.Series) -> pl.DataFrame:
        evidence = self._evidence(event_ids.to_list()).drop_nulls("level")
        events = self._warehouse.matching(
            "interactions", _keys(evidence["event_id"].to_list()), ["event_id", "item_id"]
        )
        settings = self._profile.explanation
        facts = facts_by_event(events, evidence, self._catalogue(), settings)
        levels = dict(evidence.select("event_id", "level").iter_rows())
        rows = []
        for event_id in events["event_id"]:
            random = random_generator(self._profile.seed, "composer", event_id)
            made = compose(facts[event_id], levels[event_id], random)
            rows.append((event_id, made.reason, made.why, made.level, made.cited, COMPOSER, "", 0))
        return pl.DataFrame(rows, schema=WRITTEN, orient="row")

    def _catalogue(self) -> Catalogue:
        return Catalogue(self._warehouse.read("items", ["item_id", "title", "attributes"]))


def _keys(event_ids: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame({"event_id": list(event_ids)}, schema={"event_id": pl.String})


def _read(rows: pl.DataFrame) -> pl.DataFrame:
    """As `WRITTEN`."""
    absent = {name: pl.lit(value) for name, value in _IF_NOT_STORED.items() if name not in rows}
    return rows.with_columns(**absent).select(WRITTEN.names())
