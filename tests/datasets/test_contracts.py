"""Each contract accepts what is right and names what is wrong."""

import polars as pl
import pytest

from curec_assets.datasets import contracts, row_contracts

EVENTS = pl.DataFrame(
    {
        "event_id": ["e1", "e2"],
        "user_id": ["u", "u"],
        "item_id": ["a", "b"],
        "rating": [1.0, 5.0],
        "liked": [False, True],
        "timestamp": [1, 2],
    }
)
SPLITS = pl.DataFrame(
    {
        "user_id": ["u", "v", "u", "u"],
        "split": ["train", "train", "validation", "test"],
        "fold": ["reward", "policy", None, None],
        "timestamp": [1, 2, 3, 4],
    }
)


def test_row_contracts() -> None:
    assert row_contracts.objection(EVENTS, row_contracts.INTERACTIONS) == ""


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("event_id", pl.lit("e1")),
        ("user_id", pl.lit(None, dtype=pl.Utf8)),
        ("rating", pl.lit("5")),
        ("liked", pl.lit(1)),
        ("timestamp", pl.lit(1.5)),
    ],
)
def test_row_contracts_name_the_column(column: str, change: pl.Expr) -> None:
    broken = EVENTS.with_columns(change.alias(column))
    assert f'"{column}"' in row_contracts.objection(broken, row_contracts.INTERACTIONS)


def test_titles() -> None:
    items = pl.DataFrame({"item_id": list("abcdef"), "title": ["A", "A", 'B"', "C\n", None, "D"]})
    assert contracts.bad_titles(items)["item_id"].to_list() == list("abcde")


def test_splits() -> None:
    assert contracts.split_disorder(SPLITS) == []
    tied = SPLITS.with_columns(timestamp=pl.Series([1, 3, 3, 4]))
    assert contracts.split_disorder(tied) == ["train ends at 3, validation begins at 3"]
    assert contracts.split_disorder(SPLITS.head(3)) == ["no event is in split 'test'"]


def test_folds() -> None:
    assert contracts.fold_faults(SPLITS) == []
    assert contracts.fold_faults(SPLITS.with_columns(user_id=pl.lit("u"))) == [
        "user 'u' is in both folds"
    ]
    assert contracts.fold_faults(SPLITS.head(1)) == ["no training event is in fold 'policy'"]
    outside = SPLITS.with_columns(fold=pl.Series(["reward", "policy", "reward", None]))
    assert contracts.fold_faults(outside) == ["1 events outside train have a fold"]
