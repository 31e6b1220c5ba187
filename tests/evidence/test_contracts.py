"""Facts that are not of the user's past are found, and so are scores that no model could give."""

import polars as pl

from curec_assets.evidence import contracts, schema

EVENTS = pl.DataFrame(
    {
        "event_id": ["e1", "e2", "e3"],
        "user_id": ["u", "u", "v"],
        "item_id": ["a", "b", "a"],
        "liked": [False, True, True],
        "timestamp": [1, 2, 2],
        "split": ["train", "train", "test"],
    }
)


def evidence(item: str, liked: bool, event: str = "e2") -> pl.DataFrame:
    fact = {**dict.fromkeys(schema.FACT.to_schema()), "kind": "related"}
    facts = {"e1": [], "e2": [], "e3": [], event: [{**fact, "value": item, "liked": liked}]}
    return pl.DataFrame(
        {"event_id": list(facts), "facts": list(facts.values())},
        schema={"event_id": pl.String(), "facts": pl.List(schema.FACT)},
    )


def test_related_items_are_of_the_past_with_their_label() -> None:
    assert contracts.foreign_facts(evidence("a", False), EVENTS).is_empty()
    for wrong in (evidence("a", True), evidence("b", True), evidence("c", False)):
        assert contracts.foreign_facts(wrong, EVENTS)["event_id"].to_list() == ["e2"]
    assert contracts.foreign_facts(evidence("a", False, "e3"), EVENTS).height == 1
    assert contracts.foreign_facts(evidence("a", False)[:2], EVENTS).height == 1


def test_scores_are_complete_and_the_first_block_has_none() -> None:
    def predictions(*probabilities: float | None) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "event_id": ["e1", "e2", "e3"],
                "block": [0, 1, None],
                "probability": list(probabilities),
            },
            schema_overrides={"probability": pl.Float64()},
        )

    assert contracts.wrong_scores(predictions(None, 0.2, 0.9), EVENTS).is_empty()
    assert contracts.wrong_scores(predictions(0.5, 1.0, None), EVENTS).height == 3
    assert contracts.wrong_scores(predictions(None, 0.2, 0.9)[:1], EVENTS).height == 2
