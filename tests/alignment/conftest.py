"""The toy set's tables, with evidence that was made up."""

import polars as pl
import pytest

from curec_assets.datasets.histories import histories_of
from curec_assets.datasets.items import build_items
from curec_assets.datasets.sources.source import open_source
from curec_assets.datasets.splits import assign_splits
from curec_assets.settings import load_profile
from resources.models.downloads import Downloads
from tests.support.made_up_evidence import event_evidence
from tests.support.reading import events_of

Tables = dict[str, pl.DataFrame]
TABLES = ("event_splits", "event_evidence", "items")


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """What a corpus is built from, by name, in the order of `build_corpus`."""
    profile = load_profile("smoke")
    downloads = Downloads(cache_dir=str(tmp_path_factory.mktemp("downloads")))
    source = open_source(profile.data, downloads, profile.seed)
    items = build_items(source.items())
    events = events_of(source, items["item_id"], profile.data.liked_threshold)
    splits = assign_splits(events, profile.split, profile.seed)
    histories = histories_of(splits, splits, profile.data.max_history)
    evidence = event_evidence(splits, histories, items)
    return {
        "event_splits": splits,
        "event_evidence": evidence,
        "items": items,
    }
