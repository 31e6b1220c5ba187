"""Log-probabilities of tokens among what they were chosen among."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from curec_assets.policy.choices import Choice, choices_of, log_probabilities
from resources.generation.protocol import Completion

VOCABULARY = 7


@st.composite
def rows(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, list[Choice]]:
    count = draw(st.integers(1, 6))
    scores = st.lists(st.floats(-8, 8), min_size=VOCABULARY, max_size=VOCABULARY)
    logits = torch.tensor(draw(st.lists(scores, min_size=count, max_size=count)))
    tokens, choices = [], []
    for _ in range(count):
        token = draw(st.integers(0, VOCABULARY - 1))
        others = draw(st.sets(st.integers(0, VOCABULARY - 1), min_size=1))
        choice: Choice = tuple(sorted(others | {token}))
        tokens.append(token)
        choices.append(draw(st.sampled_from([choice, None, ()])))
    return logits, torch.tensor(tokens), choices


@given(rows(), st.sampled_from([0.5, 1.0]))
@settings(max_examples=60, deadline=None)
def test_they_are_those_of_the_softmax_over_what_was_allowed(
    drawn: tuple[torch.Tensor, torch.Tensor, list[Choice]], temperature: float
) -> None:
    logits, tokens, choices = drawn
    found, entropies = log_probabilities(logits, tokens, choices, temperature)
    for row, choice in enumerate(choices):
        allowed = range(VOCABULARY) if choice is None else choice or (int(tokens[row]),)
        weights = {t: math.exp(float(logits[row, t]) / temperature) for t in allowed}
        shares = {t: weight / sum(weights.values()) for t, weight in weights.items()}
        assert float(found[row]) == pytest.approx(math.log(shares[int(tokens[row])]), abs=1e-4)
        entropy = -sum(p * math.log(p) for p in shares.values())
        assert float(entropies[row]) == pytest.approx(entropy, abs=1e-4)


@given(rows())
@settings(max_examples=40, deadline=None)
def test_the_probabilities_of_what_was_allowed_add_up_to_one(
    drawn: tuple[torch.Tensor, torch.Tensor, list[Choice]],
) -> None:
    logits, _, choices = drawn
    for row, choice in enumerate(choices):
        if choice == ():
            continue
        allowed = list(range(VOCABULARY) if choice is None else choice)
        found, _ = log_probabilities(
            logits[row].expand(len(allowed), -1), torch.tensor(allowed), [choice] * len(allowed)
        )
        assert float(found.exp().sum()) == pytest.approx(1.0, abs=1e-5)


@given(rows())
@settings(max_examples=40, deadline=None)
def test_gradient_flows_to_what_was_allowed_and_from_nothing_that_was_forced(
    drawn: tuple[torch.Tensor, torch.Tensor, list[Choice]],
) -> None:
    logits, tokens, choices = drawn
    logits.requires_grad_()
    found, _ = log_probabilities(logits, tokens, choices)
    found.sum().backward()
    assert logits.grad is not None
    for gradient, token, choice in zip(logits.grad, tokens.tolist(), choices, strict=True):
        allowed = set(range(VOCABULARY) if choice is None else choice)
        assert not any(gradient[t] for t in range(VOCABULARY) if t not in allowed)
        assert float(gradient.sum()) == pytest.approx(0.0, abs=1e-5)
        if len(allowed) > 1:
            assert gradient[token] > 0


def test_constrained_tokens_without_a_choice_are_forced() -> None:
    completion = Completion(
        "ab c", (1, 2, 3), (True, True, False), True, None, allowed=((1, 5), (), ())
    )
    assert choices_of(completion) == ((1, 5), (), None)
