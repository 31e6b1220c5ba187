import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from curec_assets.reward.scoring import RewardScorer, ScoredEvent
from curec_assets.reward.storage import read_model, save_model
from curec_assets.reward.texts import SILENCE, Text
from resources.errors import ArtifactError, DataError
from resources.storage.model_store import Artifact


def columns(trained):
    return [list(column) for column in zip(*trained.world.scored(), strict=True)]


def test_a_reason_that_agrees_with_the_outcome_gains_and_one_that_contradicts_loses(telling):
    events, reasons, outcomes = columns(telling)
    scorer = telling.scorer()
    right = scorer.gain(events, reasons, outcomes)
    wrong = scorer.gain(events, reasons, [not outcome for outcome in outcomes])
    assert (right > 0).all()
    assert (wrong < 0).all()


def test_gain_is_the_log_ratio_of_the_probabilities(telling):
    events, reasons, outcomes = columns(telling)
    scorer = telling.scorer()
    with_reason, null = scorer.probability(events, reasons), scorer.probability(events)
    liked = np.array(outcomes)
    expected = np.log(
        np.where(liked, with_reason, 1 - with_reason) / np.where(liked, null, 1 - null)
    )
    np.testing.assert_allclose(scorer.gain(events, reasons, outcomes), expected, atol=1e-9)


def test_noise_gains_next_to_nothing(noisy):
    gains = noisy.scorer().gain(*columns(noisy))
    assert gains.mean() < 0.01
    assert np.abs(gains).mean() < 0.06


def test_an_empty_reason_is_the_null(telling):
    events, _, outcomes = columns(telling)
    scorer, empty = telling.scorer(), [SILENCE, Text(" ", "\n")] * (len(outcomes) // 2)
    assert (scorer.gain(events, empty, outcomes) == 0).all()
    assert (scorer.user_independent_gain(events, empty, outcomes) == 0).all()
    np.testing.assert_array_equal(scorer.probability(events, empty), scorer.probability(events))


def test_what_is_said_to_everybody_is_user_independent(telling):
    rows = columns(telling)
    scorer = telling.scorer()
    gain, independent = scorer.gain(*rows).mean(), scorer.user_independent_gain(*rows).mean()
    assert independent == pytest.approx(gain, rel=0.1)


def test_what_needs_the_history_is_not_user_independent(personal):
    rows = columns(personal)
    scorer = personal.scorer()
    gain, independent = scorer.gain(*rows).mean(), scorer.user_independent_gain(*rows).mean()
    assert gain > 0.2
    assert independent < 0.2 * gain


def test_a_batch_scores_as_one_by_one(personal):
    events, reasons, outcomes = columns(personal)
    events[1] = ScoredEvent("a1", [], [])
    events[2] = ScoredEvent("never seen", ["nor this", "a1"], [True, False])
    scorer = personal.scorer()
    for score in (scorer.gain, scorer.user_independent_gain):
        together = score(events, reasons, outcomes)
        alone = [
            score([event], [reason], [outcome])[0]
            for event, reason, outcome in zip(events, reasons, outcomes, strict=True)
        ]
        np.testing.assert_allclose(together, alone, atol=1e-6, rtol=0)
        backwards = score(events[::-1], reasons[::-1], outcomes[::-1])
        np.testing.assert_allclose(together, backwards[::-1], atol=1e-6, rtol=0)


def test_unknown_items_are_one_and_the_same_item(telling):
    scorer = telling.scorer()
    one = ScoredEvent("x", ["y", "a1"], [True, True])
    two = ScoredEvent("z", ["w", "a1"], [True, True])
    first, second = scorer.probability([one, two])
    assert first == second


def test_only_the_latest_history_is_read(telling):
    scorer = telling.scorer()
    latest = ["a1", "a2", "a3", "a4"]
    short = ScoredEvent("b1", latest, [True] * 4)
    long = ScoredEvent("b1", ["b7"] * 30 + latest, [False] * 30 + [True] * 4)
    first, second = scorer.probability([short, long])
    assert first == second


def with_pool(trained, folder, pool):
    """The same model with another pool of histories to lend."""
    network, reader, description = read_model(trained.artifact.path)
    save_model(folder, network, reader, replace(description, pool=pool))
    return RewardScorer.load(Artifact(folder, trained.artifact.manifest), trained.encoder)


def test_a_users_own_history_is_not_lent(personal, tmp_path):
    own, other = read_model(personal.artifact.path)[2].pool[:2]
    scorer = with_pool(personal, tmp_path, (own, other))
    event = ScoredEvent("a1", own.item_ids, own.likes, own.user_id)
    lent = ScoredEvent("a1", other.item_ids, other.likes)
    assert scorer.user_independent_gain([event], [Text("left", "")], [True]) == pytest.approx(
        scorer.gain([lent], [Text("left", "")], [True])
    )


def test_a_pool_without_another_user_is_refused(telling, tmp_path):
    own = read_model(telling.artifact.path)[2].pool[0]
    scorer = with_pool(telling, tmp_path, (own,))
    event = ScoredEvent("a1", [], [], own.user_id)
    with pytest.raises(ArtifactError, match="no history of another user"):
        scorer.user_independent_gain([event], [Text("yes", "")], [True])


def test_no_events_no_scores(telling):
    scorer = telling.scorer()
    assert scorer.gain([], [], []).shape == (0,)
    assert scorer.user_independent_gain([], [], []).shape == (0,)
    assert scorer.probability([]).shape == (0,)


def test_lengths_that_differ_are_refused(telling):
    event = ScoredEvent("a1", [], [])
    with pytest.raises(DataError, match="1 events, 2 reasons and 1 outcomes"):
        telling.scorer().gain([event], [Text("yes", ""), Text("no", "")], [True])


def test_saved_and_read_again_it_is_the_same(telling, tmp_path):
    network, reader, description = read_model(telling.artifact.path)
    save_model(tmp_path, network, reader, description)
    again, same_reader, same = read_model(tmp_path)
    assert same == description
    np.testing.assert_array_equal(same_reader.coefficients, reader.coefficients)
    assert replace(same_reader, coefficients=0) == replace(reader, coefficients=0)
    for name, value in network.state_dict().items():
        assert value.equal(again.state_dict()[name])
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "reader.safetensors",
        "reward_model.json",
        "reward_model.safetensors",
    ]


def test_reasons_are_encoded_with_the_encoder_it_was_fitted_on(telling):
    telling.scorer().gain(*columns(telling))
    assert telling.encoder.sources == {"words"}


def test_an_encoder_of_another_size_is_refused(telling):
    class Wider:
        def encode(self, texts, *, source, batch_size):
            return np.zeros((len(texts), 3), dtype=np.float32)

    scorer = RewardScorer.load(telling.artifact, Wider())
    with pytest.raises(ArtifactError, match=r"gave twice 3 dimensions.*fitted on twice 24"):
        scorer.gain([ScoredEvent("a1", [], [])], [Text("yes", "")], [True])


def damage_json(folder):
    (folder / "reward_model.json").write_text("{", encoding="utf-8")


def drop_field(folder):
    path = folder / "reward_model.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    del values["pool"]
    path.write_text(json.dumps(values), encoding="utf-8")


def drop_weight(folder):
    path = folder / "reward_model.safetensors"
    values = load_file(path)
    del values["null"]
    save_file(values, path)


def lose_weights(folder):
    (folder / "reward_model.safetensors").unlink()


def damage_weights(folder):
    (folder / "reward_model.safetensors").write_bytes(b"\x00" * 20)


@pytest.mark.parametrize(
    "damage", [damage_json, drop_field, drop_weight, lose_weights, damage_weights]
)
def test_damaged_files_are_refused_with_the_remedy(telling, tmp_path, damage):
    network, reader, description = read_model(telling.artifact.path)
    save_model(tmp_path, network, reader, description)
    damage(tmp_path)
    with pytest.raises(ArtifactError, match="materialise the asset 'reward_model' again"):
        read_model(tmp_path)
