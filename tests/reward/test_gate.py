import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from curec_assets.evaluation.bootstrap import Interval
from curec_assets.reward.gate import Gate, ReaderGate, decide, require_gate, stored_gate
from resources.errors import ArtifactError


def gate_of(signal: float, *, users: int = 60, n: int = 300, seed: int = 0) -> ReaderGate:
    """Own reasons add `signal` to a weak base score that all three predictions share."""
    rng = np.random.default_rng(seed)
    liked = rng.random(n) < 0.5
    base = rng.normal(size=n) + 0.3 * liked
    return decide(
        liked=liked,
        users=rng.integers(users, size=n).astype(str),
        with_reason=base + signal * liked + 0.3 * rng.normal(size=n),
        with_null=base,
        with_shuffled=base + 0.3 * rng.normal(size=(3, n)),
        rng=np.random.default_rng(1),
        samples=300,
        least_users=10,
    )


def test_a_reason_that_tells_passes_and_noise_fails():
    assert gate_of(1.0).passed
    assert not gate_of(0.0).passed


def test_intervals_hold_their_value():
    gate = gate_of(0.5)
    for estimate in (gate.reason, gate.null, gate.shuffled, gate.over_null, gate.over_shuffled):
        assert estimate.low <= estimate.value <= estimate.high
    assert gate.over_null.value == pytest.approx(gate.reason.value - gate.null.value)
    assert gate.over_shuffled.value == pytest.approx(gate.reason.value - gate.shuffled.value)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=30))
def test_auc_is_the_usual_one_ties_included(pairs):
    liked = np.array([label for label, _ in pairs])
    scores = np.array([float(score) for _, score in pairs])
    gate = decide(
        liked=liked,
        users=np.array(["u"] * len(pairs)),
        with_reason=scores,
        with_null=scores,
        with_shuffled=scores[None],
        rng=np.random.default_rng(0),
        samples=50,
        least_users=10,
    )
    if liked.all() or not liked.any():
        assert gate.reason == Interval(0.5, 0.0, 1.0)
    else:
        assert gate.reason.value == pytest.approx(roc_auc_score(liked, scores))
        assert gate.over_null == Interval(0.0, 0.0, 0.0)
    assert not gate.passed


def test_bootstrap_draws_users_where_there_are_enough():
    assert gate_of(1.0, users=60).unit == "users"
    assert gate_of(1.0, users=5).unit == "events"


def test_events_of_one_user_widen_the_interval():
    """Twenty copies of each user's single event are still as many users, not more evidence."""
    rng = np.random.default_rng(3)
    liked = rng.random(20) < 0.5
    scores, null = liked + rng.normal(size=20), rng.normal(size=20)

    def width(copies: int) -> float:
        gate = decide(
            liked=np.repeat(liked, copies),
            users=np.repeat(np.arange(20).astype(str), copies),
            with_reason=np.repeat(scores, copies),
            with_null=np.repeat(null, copies),
            with_shuffled=np.repeat(null, copies)[None],
            rng=np.random.default_rng(0),
            samples=1000,
            least_users=10,
        )
        return gate.over_null.high - gate.over_null.low

    assert width(20) == pytest.approx(width(1), rel=1e-3)


def test_same_seed_same_gate():
    assert gate_of(0.4) == gate_of(0.4)


def test_round_trip_through_json():
    gate = Gate(gate_of(0.5), gate_of(1.0))
    assert Gate.from_json(gate.to_json()) == gate
    assert gate.to_json()["passed"] is gate.passed


def test_both_readers_must_pass():
    assert Gate(gate_of(1.0), gate_of(1.0)).passed
    assert not Gate(gate_of(1.0), gate_of(0.0)).passed
    assert not Gate(gate_of(0.0), gate_of(1.0)).passed


def test_a_failed_gate_refuses_the_model_only_where_gates_block(telling, noisy):
    require_gate(telling.artifact.manifest, gate_blocks=True)
    require_gate(noisy.artifact.manifest, gate_blocks=False)
    with pytest.raises(ArtifactError, match=r"optimise noise.*gate_blocks"):
        require_gate(noisy.artifact.manifest, gate_blocks=True)


def test_a_manifest_without_a_gate_is_refused(telling):
    bare = telling.artifact.manifest.model_copy(update={"metrics": {}})
    with pytest.raises(ArtifactError, match="no readable gate"):
        stored_gate(bare)
