"""What the networks must learn, and what must not change them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from curec_assets.evaluation.metrics import auc
from curec_assets.recommender.build import fit_stages, logit, network_config
from curec_assets.recommender.dataset import Examples, ItemTable, TrainingData, event_examples
from curec_assets.recommender.din import DIN, VARIANTS
from curec_assets.recommender.output_checks import prediction_problems
from curec_assets.recommender.ranker import Ranker
from curec_assets.recommender.reason_stage import ReasonReader, Reasons, ReasonStage
from curec_assets.recommender.tabular import TabularParts
from curec_assets.recommender.training import score
from resources.errors import ArtifactError
from tests.recommender.conftest import SETTINGS, Problem, Tables


def _test_auc(inputs: Tables, folder: Path, variant: str) -> float:
    predictions = pl.read_parquet(folder / "recommender" / "predictions.parquet")
    own = predictions.filter(variant=variant, seed=0, split="test")
    joined = own.join(inputs.events.select("event_id", "liked"), on="event_id")
    return auc(joined["liked"].to_numpy(), joined["probability"].to_numpy())


def _examples(inputs: Tables, ranker: Ranker, item_table: ItemTable) -> Examples:
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
    networks = predictions.filter(pl.col("variant").is_in(VARIANTS))
    assert networks.select("variant", "seed").n_unique() == len(VARIANTS) * 2
    missing, repeated = predictions[1:], pl.concat([predictions, predictions[:1]])
    assert "missing" in prediction_problems(missing, held_out)[0]
    assert "more than once" in prediction_problems(repeated, held_out)[0]


def test_without_a_reason_a_rung_is_the_one_below(reason_problem: Problem) -> None:
    inputs, _ = reason_problem
    reasons = Reasons.of(inputs.events, inputs.reason_embeddings[100:])
    log_odds = np.linspace(-1.0, 1.0, inputs.events.height)
    liked = inputs.events["liked"].to_numpy().astype(np.float64)
    read = ReasonReader.fit(reasons, SETTINGS, 3).read(reasons)
    stage = ReasonStage.fit(read, log_odds[reasons.events], liked[reasons.events], 10.0)
    found = stage.with_reasons(log_odds, reasons, read)
    missing = np.setdiff1d(np.arange(len(liked)), reasons.events)
    assert len(missing) == 100
    np.testing.assert_array_equal(found[missing], log_odds[missing])
    assert auc(liked[reasons.events] > 0.5, found[reasons.events]) > 0.9


def test_what_no_reason_could_be_fitted_on_changes_nothing() -> None:
    """Reasons of test events only."""
    reasons = Reasons(np.array([2, 3]), np.eye(2), np.array([1.0, 9.0]))
    first = np.array([0.5, -0.5, 1.0, -1.0])
    stages = fit_stages(
        {"id_text": first, "numbers": first},
        reasons,
        np.array([True, True, False, False]),
        np.array([1.0, 0.0, 1.0, 0.0]),
        SETTINGS,
        3,
    )
    for with_reasons in stages.values():
        np.testing.assert_allclose(with_reasons(first), first)


def test_a_verdict_that_knows_better_does_not_count_on_top() -> None:
    rng = np.random.default_rng(5)
    truth = rng.normal(0.0, 1.2, 6_000)
    first = truth + rng.normal(0.0, 1.2, len(truth))
    levels = 5.0 + np.clip(np.round(2 * truth), -4, 4)
    liked = (rng.random(len(truth)) < 1 / (1 + np.exp(-truth))).astype(np.float64)
    reasons = Reasons(np.arange(len(truth)), np.zeros((len(truth), 2)), levels)
    read = ReasonReader.fit(reasons, SETTINGS, 3).read(reasons)
    fit, rest = np.split(np.arange(len(truth)), [600])
    stage = ReasonStage.fit(read[fit], first[fit], liked[fit], 10.0)
    found = stage.with_reasons(first, reasons, read)
    assert auc(liked[rest] > 0.5, found[rest]) > auc(liked[rest] > 0.5, levels[rest]) - 0.02


def test_the_blend_is_no_worse_than_its_members(taste_problem: Problem) -> None:
    whole = _test_auc(*taste_problem, "whole")
    for member in ("id_text", "evidence", "numbers", "mlp"):
        assert whole > _test_auc(*taste_problem, member) - 0.02, member


def test_stored_parts_say_what_was_measured(taste_problem: Problem) -> None:
    inputs, folder = taste_problem
    rows = inputs.rows()
    parts = TabularParts.load(folder / "recommender" / "tabular").log_odds(rows)
    stored = pl.read_parquet(folder / "recommender" / "predictions.parquet")
    for name in ("best_peer", "numbers", "mlp"):
        own = inputs.events.select("event_id").with_columns(found=pl.Series(parts[name]))
        both = own.join(stored.filter(variant=name), on="event_id")
        expected = logit(both["probability"].to_numpy())
        np.testing.assert_allclose(both["found"].to_numpy(), expected, atol=1e-4)


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
