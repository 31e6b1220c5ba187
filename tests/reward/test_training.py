import math

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import load_file

from curec_assets.reward.gate import stored_gate
from curec_assets.reward.model import Shape, initialised
from curec_assets.reward.training import batches
from resources.errors import DataError
from tests.reward.conftest import SETTINGS


def weights(trained):
    return load_file(trained.artifact.path / "reward_model.safetensors")


def test_gate_passes_where_reasons_tell(telling, personal):
    assert stored_gate(telling.artifact.manifest).passed
    gate = stored_gate(personal.artifact.manifest)
    assert gate.recommender.passed
    assert not gate.reader.passed, "who does not see the history cannot tell"
    assert not gate.passed


def test_gate_fails_where_reasons_are_noise(noisy):
    gate = stored_gate(noisy.artifact.manifest)
    for reader in (gate.recommender, gate.reader):
        assert not reader.passed
        assert reader.over_null.low < 0 < reader.over_null.high


def test_every_loss_is_recorded_and_the_kept_epoch_has_the_least(telling):
    metrics = telling.artifact.manifest.metrics
    assert len(metrics["epochs"]) == 12
    assert all(math.isfinite(value) for epoch in metrics["epochs"] for value in epoch.values())
    held_out = [epoch["held_out"] for epoch in metrics["epochs"]]
    assert metrics["chosen_epoch"] == 1 + int(np.argmin(held_out))


def test_same_seed_same_weights_another_seed_others(make_trained, small_world):
    torch.manual_seed(1)  # whatever the global generator holds, it is not used
    first = weights(make_trained(small_world, epochs=1))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = weights(make_trained(small_world, epochs=1))
    assert torch.equal(state, torch.get_rng_state())
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    other = weights(make_trained(small_world, epochs=1, seed=2))
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_row_order_of_the_tables_does_not_change_the_weights(make_trained, small_world):
    shuffled = type(small_world)(
        *(
            getattr(small_world, name).sample(fraction=1.0, shuffle=True, seed=3)
            for name in ("event_splits", "histories", "drafts")
        )
    )
    first = weights(make_trained(small_world, epochs=1))
    second = weights(make_trained(shuffled, epochs=1))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_test_and_undrafted_validation_labels_are_never_read(make_trained, small_world):
    """Flipping every label that may not matter leaves every weight and the gate as they are."""
    unread = (pl.col("fold") != "reward") | (pl.col("event_id").str.ends_with("-8"))
    unread = unread.fill_null(pl.col("event_id").str.ends_with("-8"))
    base = type(small_world)(
        small_world.event_splits,
        small_world.histories,
        small_world.drafts.filter(~pl.col("event_id").str.ends_with("-8")),
    )
    flipped = type(small_world)(
        base.event_splits.with_columns(liked=pl.col("liked") ^ unread),
        base.histories,
        base.drafts,
    )
    first, second = make_trained(base, epochs=1), make_trained(flipped, epochs=1)
    assert first.artifact.manifest.metrics == second.artifact.manifest.metrics
    assert all(np.array_equal(weights(first)[n], weights(second)[n]) for n in weights(first))


def test_reasons_are_optional(make_trained, small_world):
    """Without a single draft the model is fitted on the null, and the gate is not passed."""
    bare = type(small_world)(
        small_world.event_splits, small_world.histories, small_world.drafts.clear()
    )
    trained = make_trained(bare, epochs=1)
    gate = stored_gate(trained.artifact.manifest)
    assert (gate.reader.n_events, gate.passed) == (0, False)
    assert trained.artifact.manifest.metrics["train_reasons"] == 0


def test_empty_drafts_count_as_none(make_trained, small_world):
    empty = type(small_world)(
        small_world.event_splits,
        small_world.histories,
        small_world.drafts.with_columns(verdict=pl.lit("  "), why=pl.lit("")),
    )
    trained = make_trained(empty, epochs=1)
    assert trained.artifact.manifest.metrics["train_reasons"] == 0
    assert stored_gate(trained.artifact.manifest).recommender.over_null.value == 0.0


def test_one_user_is_too_few(make_trained, small_world):
    alone = type(small_world)(
        small_world.event_splits.filter(pl.col("user_id") == "u0"),
        small_world.histories,
        small_world.drafts.filter(pl.col("event_id").str.starts_with("e0-")),
    )
    with pytest.raises(DataError, match="has 1 users"):
        make_trained(alone, epochs=1)


@pytest.mark.parametrize(("n", "drafts"), [(1000, 3), (1000, 400), (10, 10), (5, 0)])
def test_every_batch_has_drafted_events_but_not_too_many(n, drafts):
    drafted = np.arange(n) < drafts
    parts = batches(drafted, SETTINGS, np.random.default_rng(0))
    shown = np.concatenate(parts)
    assert set(shown.tolist()) == set(range(n))
    extras = len(shown) - n
    assert extras <= min(4 * drafts, 16 * len(parts))
    if drafts >= 4:
        assert all(drafted[batch].any() for batch in parts)


def test_an_empty_history_is_finite_and_padding_does_not_matter():
    network = initialised(Shape(5, 4, 6), torch.Generator().manual_seed(0))
    item = torch.tensor([1])
    none = network.context(item, torch.zeros(1, 3, dtype=torch.long), torch.zeros(1, 3).long())
    assert torch.isfinite(none).all()
    assert torch.equal(none[:, 4:], torch.zeros(1, 4))
    history, signals = torch.tensor([[2, 3]]), torch.tensor([[1, 2]])
    longer = torch.tensor([[2, 3, 4, 0]]), torch.tensor([[1, 2, 0, 0]])
    torch.testing.assert_close(
        network.context(item, history, signals), network.context(item, *longer)
    )
