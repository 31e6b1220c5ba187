"""What is drawn of a policy's training."""

from curec_assets.policy.metrics import reward_terms


def test_terms_are_those_of_the_reward_that_vary() -> None:
    metrics = {
        "reward": [6.5, 6.7],
        "reader_gain": [0.1, 0.3],
        "format": [1.0, 1.0],
        "kl": [0.0, 0.1],
        "facts_left_out": 0,
    }
    assert reward_terms(metrics) == {"reader_gain": [0.1, 0.3]}
