"""What every source of interactions and items must do: one suite, passed by each of them.

A new source gets a subclass whose name begins with `Test`, with a fixture `opened`: the source on
some data of its own.
"""

import polars as pl

from curec_assets.datasets import schema
from curec_assets.datasets.sources.source import DataSource
from tests.support.reading import all_quarantined, all_rows


class SourceContract:
    """The laws of `DataSource`, whatever it reads."""

    def test_tables_have_the_declared_columns(self, opened: DataSource) -> None:
        assert all_rows(opened).schema == schema.RAW_INTERACTIONS
        assert opened.items().schema == schema.RAW_ITEMS

    def test_there_is_something_to_read(self, opened: DataSource) -> None:
        assert all_rows(opened).height > 0
        assert opened.items().height > 0

    def test_reading_twice_gives_the_same(self, opened: DataSource) -> None:
        assert all_rows(opened).equals(all_rows(opened))
        assert opened.items().equals(opened.items())

    def test_fingerprints_name_the_content_and_stay(self, opened: DataSource) -> None:
        for fingerprint in (opened.interactions_fingerprint, opened.items_fingerprint):
            found = fingerprint()
            assert found
            assert all(isinstance(part, str) for part in (*found, *found.values()))
            assert found == fingerprint()

    def test_events_are_complete_and_numbered_as_in_the_source(self, opened: DataSource) -> None:
        events = all_rows(opened)
        assert events.drop("opinions").null_count().sum_horizontal().item() == 0
        assert events["row"].is_unique().all()
        assert events["row"].min() >= 1
        assert events["rating"].is_finite().all()
        for column in ("user_id", "item_id"):
            assert (events[column].str.len_chars() > 0).all()

    def test_nothing_is_both_read_and_in_quarantine(self, opened: DataSource) -> None:
        found = all_quarantined(opened)
        assert found.schema == schema.QUARANTINE
        assert not set(found["row"]) & set(all_rows(opened)["row"])

    def test_items_are_named_once(self, opened: DataSource) -> None:
        items = opened.items()
        assert items["item_id"].is_unique().all()
        assert (items["item_id"].str.len_chars() > 0).all()

    def test_attributes_have_a_kind_and_a_value(self, opened: DataSource) -> None:
        attributes = opened.items().explode("attributes").drop_nulls("attributes")
        named = attributes.unnest("attributes").select("kind", "value")
        assert (named.null_count().sum_horizontal() == 0).all()
        texts = named.select(pl.all().str.strip_chars().str.len_chars())
        assert (texts.to_numpy() > 0).all()
