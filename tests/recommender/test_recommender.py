"""What the networks must learn, and what must not change them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from curec_assets.evaluation.metrics import auc
from curec_assets.recommender.build import network_config
from curec_assets.recommender.dataset import (
    Examples,
    ItemTable,
    TrainingData,
    TrainingTables,
    event_examples,
)
from curec_assets.recommender.din import DIN, VARIANTS
from curec_assets.recommender.output_checks import prediction_problems
from curec_assets.recommender.ranker import Ranker
from curec_assets.recommender.training import score
from resources.errors import ArtifactError
from tests.recommender.conftest import SETTINGS, Problem


def _test_auc(inputs: TrainingTables, folder: Path, variant: str) -> float:
    predictions = pl.read_parquet(folder / "recommender" / "predictions.parquet")
    own = predictions.filter(variant=variant, seed=0, split="test")
    joined = own.join(inputs.events.select("event_id", "liked"), on="event_id")
    return auc(joined["liked"].to_numpy(), joined["probability"].to_numpy())


def _examples(inputs: TrainingTables, ranker: Ranker, item_table: ItemTable) -> Examples:
    return event_examples(inputs, item_table, ranker.form)


def test_attention_learns_a_taste_that_no_statistic_shows(
    taste_problem: Problem,
) -> None:
    assert _test_auc(*taste_problem, "id") > 0.8


def test_reasons_that_tell_the_outcome_are_used(
    reason_problem: Problem,
) -> None:
    assert _test_auc(*reason_problem, "id_text") < 0.6
    assert _test_auc(*reason_problem, "id_text_reason") > 0.9


def test_every_event_has_one_prediction_per_network(
    taste_problem: Problem,
) -> None:
    inputs, folder = taste_problem
    predictions = pl.read_parquet(folder / "recommender" / "predictions.parquet")
    held_out = inputs.events.filter(pl.col("split") != "train")
    assert prediction_problems(predictions, held_out) == []
    assert predictions.select("variant", "seed").n_unique() == len(VARIANTS) * 2
    missing, repeated = predictions[1:], pl.concat([predictions, predictions[:1]])
    assert "missing" in prediction_problems(missing, held_out)[0]
    assert "more than once" in prediction_problems(repeated, held_out)[0]


def test_a_missing_reason_is_the_learned_null(reason_problem: Problem) -> None:
    inputs, folder = reason_problem
    ranker = Ranker.load(folder / "recommender")
    network = ranker.networks["id_text_reason", 0]
    item_table = ranker.item_table(inputs.item_embeddings)
    rows = torch.arange(50)

    def scores(reasons: pl.DataFrame) -> np.ndarray:
        examples = _examples(replace(inputs, reason_embeddings=reasons), ranker, item_table)
        return score(network, examples, item_table, rows)

    some = inputs.reason_embeddings.filter(
        ~pl.col("event_id").is_in(inputs.events["event_id"][:25].implode())
    )
    full, partly, none = scores(inputs.reason_embeddings), scores(some), scores(some.clear())
    np.testing.assert_array_equal(partly[:25], none[:25])
    np.testing.assert_array_equal(partly[25:], full[25:])
    assert np.abs(full[:25] - none[:25]).max() > 0.05


def test_a_stored_ranker_predicts_what_it_predicted(
    taste_problem: Problem,
) -> None:
    inputs, folder = taste_problem
    ranker = Ranker.load(folder / "recommender")
    item_table = ranker.item_table(inputs.item_embeddings)
    examples = _examples(inputs, ranker, item_table)
    test = np.flatnonzero((inputs.events["split"] == "test").to_numpy())
    found = score(ranker.networks["id", 1], examples, item_table, torch.from_numpy(test))
    stored = pl.read_parquet(folder / "recommender" / "predictions.parquet").filter(
        variant="id", seed=1, split="test"
    )
    np.testing.assert_allclose(found, stored["probability"].to_numpy(), atol=1e-6)


def test_scores_do_not_depend_on_the_batch(taste_problem: Problem) -> None:
    inputs, folder = taste_problem
    ranker = Ranker.load(folder / "recommender")
    item_table = ranker.item_table(inputs.item_embeddings)
    examples = _examples(inputs, ranker, item_table)
    network = ranker.networks["id_text", 0]
    together = score(network, examples, item_table, torch.arange(20))
    one_by_one = [score(network, examples, item_table, torch.tensor([n]))[0] for n in range(20)]
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)


def test_variants_start_from_the_same_numbers(taste_problem: Problem) -> None:
    data = TrainingData.make(taste_problem[0], SETTINGS)

    def parameters(variant: str) -> dict[str, torch.Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            shape = network_config(variant, data, SETTINGS)
            return DIN(shape).state_dict()

    plain = parameters("id")
    for variant in VARIANTS[1:]:
        other = parameters(variant)
        assert all(torch.equal(value, other[name]) for name, value in plain.items())


def test_feedback_is_read_only_where_it_is_configured(
    taste_problem: Problem,
) -> None:
    inputs, folder = taste_problem
    ranker = Ranker.load(folder / "recommender")
    item_table = ranker.item_table(inputs.item_embeddings)
    examples = _examples(inputs, ranker, item_table)
    other_feedback = replace(
        examples, histories=replace(examples.histories, feedback=-examples.histories.feedback)
    )
    reading = ranker.networks["id", 0]
    plain = DIN(replace(reading.config, feedback=0))
    plain.eval()

    def change(network: DIN) -> float:
        before, after = (
            score(network, read, item_table, torch.arange(50))
            for read in (examples, other_feedback)
        )
        return float(np.abs(before - after).max())

    assert change(plain) == 0.0
    assert change(reading) > 0.001


def test_an_item_unknown_in_training_has_text_but_no_id() -> None:
    embeddings = pl.DataFrame({"item_id": ["b", "a", "new"], "embedding": [[1.0], [2.0], [3.0]]})
    item_table = ItemTable.make(embeddings, ["a", "b"])
    rows = item_table.rows(pl.Series(["new", "a", "b", "nowhere"]))
    assert item_table.vocabulary[rows].tolist() == [0, 1, 2, 0]
    assert item_table.texts[rows].flatten().tolist() == [3.0, 2.0, 1.0, 0.0]


def test_another_encoder_is_refused(taste_problem: Problem) -> None:
    ranker = Ranker.load(taste_problem[1] / "recommender")
    embeddings = pl.DataFrame({"item_id": ["i0"], "embedding": [[1.0, 2.0]]})
    with pytest.raises(ArtifactError, match="2 dimensions, but the recommender was trained on 6"):
        ranker.item_table(embeddings)


def test_a_damaged_ranker_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recommender.json").write_text("{}")
    with pytest.raises(ArtifactError, match="materialise the asset 'recommender' again"):
        Ranker.load(tmp_path)
