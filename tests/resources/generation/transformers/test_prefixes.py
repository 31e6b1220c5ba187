"""Prompts are grouped by what they share, never by what they do not."""

from hypothesis import given
from hypothesis import strategies as st

from resources.generation.transformers.prefixes import plan_prefixes

SHARED = st.lists(st.integers(0, 1), min_size=0, max_size=60)


@given(st.lists(st.tuples(st.integers(0, 2), SHARED, SHARED), min_size=1, max_size=20))
def test_groups_share_their_prefix_and_compute_no_more_than_alone(
    parts: list[tuple[int, list[int]]],
) -> None:
    prompts = sorted((7, *([user] * 40), *middle, *tail, 9) for user, middle, tail in parts)
    plan = plan_prefixes(prompts)
    assert plan.groups == sorted(plan.groups)
    first: dict[int, tuple[int, ...]] = {}
    for prompt, group in zip(prompts, plan.groups, strict=True):
        prefix = prompt[: plan.lengths[group]]
        assert len(prefix) < len(prompt), "a last token is left to be computed for each"
        assert first.setdefault(group, prefix) == prefix
        assert prefix[: plan.root] == prompts[0][: plan.root]
        assert plan.lengths[group] >= plan.root
    computed = plan.root + sum(len(prefix) - plan.root for prefix in first.values())
    computed += sum(
        len(prompt) - plan.lengths[group]
        for prompt, group in zip(prompts, plan.groups, strict=True)
    )
    assert computed <= sum(map(len, prompts))


def test_users_are_groups_and_the_instruction_is_the_root() -> None:
    instruction = list(range(100, 130))
    prompts = sorted(
        [*instruction, *[user] * 50, candidate] for user in (1, 2) for candidate in range(5)
    )
    plan = plan_prefixes(prompts)
    assert plan.root == 30
    assert plan.groups == [0] * 5 + [1] * 5
    assert plan.lengths == [80, 80]
