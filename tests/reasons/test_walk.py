"""Laws of the chronological walk, with a generator that answers from its prompt alone."""

import logging
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from curec_assets.core.provenance import digest
from curec_assets.core.seeds import random_generator
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import NoteFacts, ParsedReason, chain, completion
from curec_assets.reasons.walk import SHARD, Walk, WalkEvent, contradicted
from curec_assets.reward.texts import Sentences
from curec_assets.settings import load_profile
from resources.errors import ArtifactError, EngineError
from resources.generation.protocol import Completion, Prompt, Sampling

PROFILE = load_profile("smoke")
TITLES = [f"Film {letter}" for letter in "ABCDEFGH"]
ARGUMENTS = (
    Fact("crowd", 3, count=90, of=100, contribution=0.9),
    Fact("related", -2, "Heat", False, count=3, of=7, contribution=-0.4),
    Fact("taste", 1, contribution=0.1),
)


def facts_of(title: str) -> Facts:
    return Facts(title, ("drama",), ARGUMENTS)


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
            text = f"Note: as strict as the crowd; likes {digest(user)[:6]} more; likes none less."
        else:
            text = self.reason(user, prompt)
        return Completion(text, (1,), (True,), True, None)

    def reason(self, user: str, prompt: Prompt) -> str:
        title = re.findall("^Item: (.*) \\(drama\\)$", user, re.MULTILINE)[0]
        drawn = int(digest([user, prompt.seed]), 16)
        return completion(compose(facts_of(title), 1 + drawn % 9, random_generator(drawn)))


class Oracle:
    """A reason gains when its event was liked, more so for later notes."""

    def gain(
        self, events: Sequence[Any], reasons: Sequence[Sentences], outcomes: Sequence[bool]
    ) -> np.ndarray:
        return np.array(
            [
                (0.1 if liked else -0.3) + int(digest([event.event_id, reason.why])[:2], 16) / 1000
                for event, reason, liked in zip(events, reasons, outcomes, strict=True)
            ]
        )

    def reader_gain(self, reasons: Sequence[Sentences], outcomes: Sequence[bool]) -> np.ndarray:
        return np.zeros(len(reasons))

    def reader_probability(self, reasons: Sequence[Sentences]) -> np.ndarray:
        return np.array([len(reason.why) % 10 / 10 for reason in reasons])


def rounds(outcomes: Sequence[Sequence[bool]], level: int = 5) -> list[list[WalkEvent]]:
    """Shard k has one event per user; `outcomes[k][u]` tells whether it was liked."""
    return [
        [
            WalkEvent(
                event_id=f"{user}-{number}",
                user_id=str(user),
                item_id=TITLES[number],
                timestamp=number,
                split="train",
                liked=liked,
                round=number,
                level=level,
                probability=(level - 0.5) / 9,
                history_item_ids=(),
                history_likes=(),
                facts=facts_of(TITLES[number]),
                note_facts=NoteFacts(0),
                attributes=("drama",),
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
        GroundingChecker(60),
        PROFILE,
        identity="models",
        folder=folder,
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
    columns = ["event_id", "reason", "note", "level", "cited", "source", "attempts"]
    upto = pl.col("round") <= cut
    assert first.filter(upto).select(columns).equals(second.filter(upto).select(columns))


def test_a_contradicted_reason_changes_later_notes(tmp_path: Path) -> None:
    liked = walked(rounds([[True] * 6] * 6, level=8), tmp_path / "liked")
    wrong = walked(rounds([[False] * 6] * 6, level=8), tmp_path / "wrong")
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


def test_a_finished_shard_is_not_written_again(tmp_path: Path) -> None:
    events = rounds([[True, False], [False, True]])
    walked(events, tmp_path)
    again = ScriptedWriter()
    walked(events, tmp_path, again)
    assert not again.prompts


DAMAGES = {
    "one byte": lambda content, at: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],
    "cut off": lambda content, at: content[:at],
}


@pytest.mark.fault("a shard is damaged", tried=15)
@pytest.mark.parametrize("damage", DAMAGES)
@given(shard=st.integers(0, 2), share=st.floats(0, 1, exclude_max=True))
@hypothesis_settings(max_examples=15)
def test_a_damaged_shard_is_said_and_written_again(
    tmp_path_factory: pytest.TempPathFactory, damage: str, shard: int, share: float
) -> None:
    folder = tmp_path_factory.mktemp("walk")
    events = rounds([[True, False], [False, True], [True, True]])
    whole = walked(events, folder)
    file = sorted(folder.glob("*.parquet"))[shard]
    content = file.read_bytes()
    file.write_bytes(DAMAGES[damage](content, int(share * len(content))))
    warnings: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = warnings.append  # type: ignore[method-assign]
    log = logging.getLogger("curec_assets.reasons")
    log.addHandler(handler)
    try:
        assert walked(events, folder).equals(whole)
    finally:
        log.removeHandler(handler)
    assert [str(file) in warning.getMessage() for warning in warnings] == [True]
    assert file.read_bytes() == content
    assert len(list(folder.iterdir())) == len(events)


class Foreigner(ScriptedWriter):
    """While it writes the last shard, another process removes the first."""

    def __init__(self, folder: Path, shards: int) -> None:
        super().__init__()
        self._folder, self._shards = folder, shards

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        kept = sorted(self._folder.glob("*.parquet"))
        if len(kept) == self._shards - 1:
            subprocess.run(["rm", str(kept[0])], check=True)
        return super().write(prompts, sampling)


@pytest.mark.fault("another process removes a shard in mid-run")
def test_a_shard_that_somebody_removes_is_said_and_the_next_run_has_it_again(
    tmp_path: Path,
) -> None:
    events = rounds([[True, False], [False, True], [True, True]])
    whole = walked(events, tmp_path / "alone")
    with pytest.raises(ArtifactError, match="1 of 3 shards were removed") as refused:
        walked(events, tmp_path / "shared", Foreigner(tmp_path / "shared", len(events)))
    assert "0000-" in str(refused.value)
    assert walked(events, tmp_path / "shared").equals(whole)


class FarWriter(ScriptedWriter):
    """Always names the lowest level, and says nothing that it cites."""

    def reason(self, user: str, prompt: Prompt) -> str:
        return chain(["F1"], 1) + "Because."


def test_what_is_too_far_or_ungrounded_is_at_last_the_composers(tmp_path: Path) -> None:
    rows = walked(rounds([[True, False]] * 2, level=8), tmp_path, FarWriter())
    assert set(rows["source"]) == {"composer"}
    assert set(rows["level"]) == {8} and rows["grounded"].all()
    assert set(rows["attempts"]) == {1 + PROFILE.reasons.max_regenerations}
    assert not rows["first_grounded"].any()


@given(st.integers(1, 9), GRIDS)
@hypothesis_settings(max_examples=10)
def test_every_stored_level_is_near_the_evidences(
    tmp_path_factory: pytest.TempPathFactory, level: int, grid: list[list[bool]]
) -> None:
    rows = walked(rounds(grid, level=level), tmp_path_factory.mktemp("near"))
    assert rows.schema == SHARD
    gap = (rows["level"] - rows["evidence_level"]).abs()
    assert (gap <= PROFILE.reasons.max_level_gap).all()
    for row in rows.iter_rows(named=True):
        parsed = ParsedReason(tuple(row["cited"]), row["level"], row["why"])
        assert row["verdict"] == parsed.verdict and row["reason"] == parsed.reason
        assert len(row["facts"]) == len(row["cited"])
        assert len(row["facts"]) + len(row["uncited"]) == len(ARGUMENTS)


def test_the_numbers_behind_a_reason_stand_in_its_row(tmp_path: Path) -> None:
    row = walked(rounds([[True]], level=2), tmp_path, FarWriter()).row(0, named=True)
    behind = dict(zip(row["cited"], row["facts"], strict=True))
    assert (behind["F1"]["count"], behind["F1"]["of"]) == (90, 100)
    assert (behind["A1"]["value"], behind["A1"]["liked"]) == ("Heat", False)
    assert row["uncited"] == [0.1]


def test_events_of_one_time_share_a_note_and_the_worst_corrects_it(tmp_path: Path) -> None:
    (events,) = rounds([[False] * 6])
    one_user = [replace(event, user_id="u") for event in events]
    (later,) = rounds([[False]])
    rows = walked([one_user, [replace(later[0], user_id="u", event_id="later")]], tmp_path)
    first, then = rows.head(6), rows.tail(1)
    assert first["note"].n_unique() == 1
    assert first["next_note"].n_unique() == 1
    assert then["note"].item() == first["next_note"][0]


@pytest.mark.parametrize(
    ("level", "liked", "reward", "wrong"),
    [
        (6, False, 0.1, True),
        (6, True, 0.1, False),
        (4, True, 0.1, True),
        (4, False, 0.1, False),
        (5, True, 0.0, False),
        (5, False, 0.0, False),
        (9, True, -0.1, True),
    ],
)
def test_what_counts_as_contradicted(level: int, liked: bool, reward: float, wrong: bool) -> None:
    assert contradicted(level, liked, reward) is wrong
