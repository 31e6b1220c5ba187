"""Evidence that is not in the history is found."""

import polars as pl

from curec_assets.evidence import contracts

HISTORIES = pl.DataFrame(
    {
        "event_id": ["e1", "e2"],
        "item_ids": [[], ["a"]],
        "likes": [[], [False]],
        "timestamps": [[], [1]],
    },
    schema_overrides={"item_ids": pl.List(pl.Utf8), "likes": pl.List(pl.Boolean)},
)


def test_evidence_comes_from_the_history() -> None:
    def evidence(liked: list[str], disliked: list[str]) -> pl.DataFrame:
        lists = pl.List(pl.Utf8)
        return pl.DataFrame(
            {"event_id": ["e1", "e2"], "liked_ids": [[], liked], "disliked_ids": [[], disliked]},
            schema={"event_id": pl.Utf8, "liked_ids": lists, "disliked_ids": lists},
        )

    assert contracts.foreign_evidence(evidence([], ["a"]), HISTORIES).height == 0
    for wrong in (evidence(["a"], []), evidence([], ["b"]), evidence([], []).head(1)):
        assert contracts.foreign_evidence(wrong, HISTORIES)["event_id"].to_list() == ["e2"]
