"""Laws of the chronological walk, with a generator that answers from its prompt alone."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from curec_assets.core.provenance import digest
from curec_assets.explanation.composer import completion, compose
from curec_assets.explanation.facts import Catalogue, Facts, HistoryItem
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import NoteFacts
from curec_assets.reasons.walk import Walk, WalkEvent
from curec_assets.settings import load_profile
from resources.errors import EngineError
from resources.generation.protocol import Completion, Prompt, Sampling

PROFILE = load_profile("smoke")
TITLES = [f"Film {letter}" for letter in "ABCDEFGH"]
CATALOGUE = Catalogue(
    pl.DataFrame(
        {
            "item_id": TITLES,
            "title": TITLES,
            "attributes": [[{"kind": "genre", "value": "drama"}]] * len(TITLES),
        }
    )
)


class ScriptedWriter:
    """Every text is a function of its prompt, so any leak into a prompt shows in the texts."""

    engine = "scripted"

    def __init__(self, fail_after: int | None = None) -> None:
        self.prompts: list[Prompt] = []
        self._fail_after = fail_after

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        if self._fail_after is not None and len(self.prompts) >= self._fail_after:
            raise EngineError("the engine died")
        self.prompts += prompts
        return [self._one(prompt) for prompt in prompts]

    def prompt_tokens(self, prompt: Prompt) -> int:
        return sum(len(content.split()) for _, content in prompt.messages)

    def _one(self, prompt: Prompt) -> Completion:
        user = prompt.messages[1][1]
        if "taste note." in user.split("\n")[0]:
            text = f"Note: enjoys {digest(user)[:6]}; avoids none."
        else:
            title = re.findall("^Item: (.*)$", user, re.MULTILINE)[0]
            facts = Facts(title, ("drama",), (HistoryItem("Film H", ("drama",)),), ())
            text = completion(compose(facts, "like", np.random.default_rng(int(digest(user), 16))))
        return Completion(text, (1,), (True,), True, 0.5)


class Oracle:
    """A reason gains when its event was liked, more so for later notes."""

    def gain(
        self, events: Sequence[Any], reasons: Sequence[str], outcomes: Sequence[bool]
    ) -> np.ndarray:
        return np.array(
            [
                (0.1 if liked else -0.3) + int(digest([event.event_id, reason])[:2], 16) / 1000
                for event, reason, liked in zip(events, reasons, outcomes, strict=True)
            ]
        )

    user_independent_gain = gain


def rounds(outcomes: Sequence[Sequence[bool]]) -> list[list[WalkEvent]]:
    """Round k has one event per user; `outcomes[k][u]` tells whether it was liked."""
    return [
        [
            WalkEvent(
                event_id=f"{user}-{number}",
                user_id=str(user),
                item_id=TITLES[number],
                timestamp=number,
                split="train",
                liked=liked,
                history_item_ids=(),
                history_likes=(),
                facts=Facts(TITLES[number], ("drama",), (HistoryItem("Film H", ("drama",)),), ()),
                note_facts=NoteFacts((HistoryItem("Film H", ("drama",)),), ()),
                outcome=HistoryItem(TITLES[number], ("drama",)),
            )
            for user, liked in enumerate(row)
        ]
        for number, row in enumerate(outcomes)
    ]


def walked(
    events: list[list[WalkEvent]], folder: Path, generator: ScriptedWriter | None = None
) -> pl.DataFrame:
    walk = Walk(
        generator or ScriptedWriter(),
        Oracle(),
        GroundingChecker(CATALOGUE, 60),
        PROFILE,
        identity="models",
        shards=folder,
    )
    return pl.concat([pl.read_parquet(path) for path in walk.run(events)])


GRIDS = st.integers(1, 3).flatmap(
    lambda users: st.lists(
        st.lists(st.booleans(), min_size=users, max_size=users), min_size=2, max_size=5
    )
)


@given(GRIDS, st.data())
@hypothesis_settings(max_examples=15)
def test_a_reason_depends_on_earlier_outcomes_only(
    tmp_path_factory: pytest.TempPathFactory, grid: list[list[bool]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(grid) - 1))
    changed = [list(row) if k < cut else [not x for x in row] for k, row in enumerate(grid)]
    first = walked(rounds(grid), tmp_path_factory.mktemp("a"))
    second = walked(rounds(changed), tmp_path_factory.mktemp("b"))
    columns = ["event_id", "reason", "note", "verdict", "source", "attempts"]
    upto = pl.col("round") <= cut
    assert first.filter(upto).select(columns).equals(second.filter(upto).select(columns))


def test_a_contradicted_reason_changes_later_notes(tmp_path: Path) -> None:
    liked = walked(rounds([[True] * 6] * 6), tmp_path / "liked")
    wrong = walked(rounds([[False] * 6] * 6), tmp_path / "wrong")
    assert liked["note"].n_unique() == 1
    assert wrong.filter(round=0)["note"].n_unique() == 1
    assert wrong.filter(pl.col("round") > 0)["note"].n_unique() > 1


@given(GRIDS, st.integers(0, 12))
@hypothesis_settings(max_examples=15)
def test_an_interrupted_walk_goes_on_to_the_same_reasons(
    tmp_path_factory: pytest.TempPathFactory, grid: list[list[bool]], failing: int
) -> None:
    whole = walked(rounds(grid), tmp_path_factory.mktemp("whole"))
    folder = tmp_path_factory.mktemp("resumed")
    try:
        walked(rounds(grid), folder, ScriptedWriter(fail_after=failing))
    except EngineError:
        finished = len(list(folder.glob("*.parquet")))
        again = ScriptedWriter()
        assert walked(rounds(grid), folder, again).equals(whole)
        fresh = ScriptedWriter()
        walked(rounds(grid), tmp_path_factory.mktemp("fresh"), fresh)
        assert len(again.prompts) < len(fresh.prompts) or finished == 0
    else:
        assert walked(rounds(grid), folder).equals(whole)


def test_a_finished_round_is_not_written_again(tmp_path: Path) -> None:
    events = rounds([[True, False], [False, True]])
    walked(events, tmp_path)
    again = ScriptedWriter()
    walked(events, tmp_path, again)
    assert not again.prompts
