"""Votes: blind, stored once and for the owner alone, and read by TRL as preference pairs."""

import json
import stat
from html import escape
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curec_assets.cli.app import main
from curec_assets.explanation.prompts import parse_reason, reason_prompt
from curec_assets.explorer.ballot import Ballot, open_ballot
from curec_assets.explorer.side_by_side import pair_of
from curec_assets.serving.votes import (
    FILE,
    forget_votes,
    preferences,
    store_vote,
    stored_votes,
    stray_votes,
)
from curec_assets.serving.writers import Writers
from curec_assets.settings import load_profile
from resources.errors import ArtifactError, ConfigError
from resources.models.base_models import LanguageModel
from resources.models.downloads import Downloads
from tests.support.written_home import DRAFTED, HOSTILE, NOTE, WrittenHome, vote

PROFILE = load_profile("smoke")


@pytest.fixture
def home(tmp_path: Path) -> WrittenHome:
    found = WrittenHome(tmp_path / "home")
    found.fill()
    return found


def opened(home: WrittenHome, a: str = "reasons", b: str = "drafts") -> Ballot:
    writers = Writers(home.warehouse, home.store, PROFILE)
    return open_ballot(home.folder, home.warehouse, writers, a, b, PROFILE.seed)


def test_a_ballot_stores_who_won_and_asks_no_pair_twice(home: WrittenHome) -> None:
    ballot = opened(home)
    assert ballot.left == len(DRAFTED)
    rows = home.warehouse.read("recommendation_reasons", ["event_id", "reason"])
    by_policy = set(rows["reason"])
    expected, policy_first = [], []
    for choice in ("first", "second", "equal", "skip"):
        asked = ballot.question
        assert asked is not None
        policy_first.append(asked.first in by_policy)
        assert (asked.second in by_policy) is not policy_first[-1]
        if choice == "equal":
            expected.append("equal")
        elif choice != "skip":
            expected.append("a" if policy_first[-1] is (choice == "first") else "b")
        ballot.choose(choice)  # type: ignore[arg-type]
    stored = stored_votes(home.folder)
    assert [each.won for each in stored] == expected
    assert {each.a.writer for each in stored} == {"reasons"}
    assert (ballot.given, ballot.left) == (3, len(DRAFTED) - 4)
    again = opened(home, "drafts", "reasons")
    assert again.left == len(DRAFTED) - 3
    while again.question is not None:
        asked = again.question
        policy_first.append(asked.first in by_policy)
        again.choose("skip")
    assert len(set(policy_first)) == 2
    assert again.choose("first") == (0, 0, "")


def test_hostile_titles_stay_text(home: WrittenHome) -> None:
    ballot = opened(home)
    shown = []
    while ballot.question is not None:
        asked = ballot.question
        row = {"title": asked.title, "reason_a": asked.first, "reason_b": asked.second}
        shown.append(pair_of(row, ["The first", "The second"], "better?"))
        ballot.choose("skip")
    assert not any("<img" in each for each in shown)
    assert sum(escape(HOSTILE) in each for each in shown) == 3  # of eight events


def test_the_file_is_the_owners_alone_and_names_nobody(home: WrittenHome) -> None:
    opened(home).choose("first")
    file = home.folder / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    [line] = file.read_text("utf-8").splitlines()
    assert set(json.loads(line)) == {"at", "event_id", "a", "b", "won"}
    assert "viewer-" not in line and "user_id" not in line


def test_a_vote_holds_what_the_writers_were_asked(home: WrittenHome) -> None:
    opened(home).choose("first")
    [found] = stored_votes(home.folder)
    writers = Writers(home.warehouse, home.store, PROFILE)
    item = home.warehouse.read("interactions").filter(event_id=found.event_id)["item_id"].item()
    facts = writers.facts("reasons", found.event_id, item)
    assert list(found.a.prompt) == reason_prompt(facts.with_note(NOTE)).chat()
    assert list(found.b.prompt) == reason_prompt(facts).chat()
    for side in (found.a, found.b):
        parsed = parse_reason(side.completion)
        assert parsed is not None and parsed.reason == side.reason


def test_what_cannot_be_stored_is_said_and_asked_again(home: WrittenHome) -> None:
    ballot = opened(home)
    asked = ballot.question
    (home.folder / FILE).mkdir()
    ballot.choose("first")
    assert ballot.said.startswith(f"the vote is not stored: {home.folder / FILE} cannot be written")
    assert ballot.question == asked and ballot.given == 0
    (home.folder / FILE).rmdir()
    ballot.choose("first")
    assert (ballot.said, ballot.given) == ("", 1)


def test_a_vote_on_what_is_no_longer_there_is_refused(home: WrittenHome) -> None:
    with pytest.raises(ConfigError, match=r"no longer in this home.*its user is forgotten"):
        store_vote(home.folder, home.warehouse, vote("gone"))
    assert not (home.folder / FILE).exists()


def test_a_line_that_is_no_vote_is_named(home: WrittenHome) -> None:
    store_vote(home.folder, home.warehouse, vote("e00"))
    with (home.folder / FILE).open("a") as stream:
        stream.write('{"event_id": "e01"}\n')
    with pytest.raises(ArtifactError, match=r"votes.jsonl, line 2, is no vote"):
        stored_votes(home.folder)


def test_votes_of_forgotten_events_go_and_what_nobody_can_attribute(home: WrittenHome) -> None:
    events = ("e00", "e01", "e02", "e01")
    for event_id in events:
        store_vote(home.folder, home.warehouse, vote(event_id))
    with (home.folder / FILE).open("a") as stream:
        stream.write(f"{vote('gone').model_dump_json()}\nhalf a line\n")
    assert stray_votes(home.folder, home.warehouse) == 2
    (home.folder / f"{FILE}.123").write_text("of an erasure that was killed")
    forget_votes(home.folder, home.warehouse, ["e01"])
    assert list(home.folder.glob(f"{FILE}*")) == [home.folder / FILE]
    assert [each.event_id for each in stored_votes(home.folder)] == ["e00", "e02"]
    assert stray_votes(home.folder, home.warehouse) == 0
    assert stat.S_IMODE((home.folder / FILE).stat().st_mode) == 0o600
    store_vote(home.folder, home.warehouse, vote("e03"))
    assert len(stored_votes(home.folder)) == 3
    forget_votes(home.folder / "elsewhere", home.warehouse, ["e01"])


@pytest.mark.usefixtures("umask")
@pytest.mark.filterwarnings("ignore")  # TRL's, torch's and datasets' own
def test_trl_trains_on_what_is_exported(
    home: WrittenHome,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CUREC_HOME", str(home.folder))
    file = tmp_path / "pairs.jsonl"
    export = ["export", "preferences", str(file), "--to", "jsonl"]
    assert main(export) == 1
    assert "none of the 0 votes of this home prefers a reason" in capsys.readouterr().err
    ballot = opened(home)
    for choice in ("first", "equal", "second"):
        ballot.choose(choice)  # type: ignore[arg-type]
    assert main(export) == 0
    assert "2 pairs of 3 votes" in capsys.readouterr().out
    assert main(export) == 1
    assert "is there already" in capsys.readouterr().err

    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer
    from trl.data_utils import is_conversational

    pairs: Any = load_dataset(
        "json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert set(pairs.column_names) == {"prompt", "chosen", "rejected"}
    votes = [each for each in stored_votes(home.folder) if each.won != "equal"]
    for pair, each in zip(pairs, votes, strict=True):
        assert is_conversational(pair)
        better, worse = (each.a, each.b) if each.won == "a" else (each.b, each.a)
        assert pair["prompt"] == list(better.prompt)
        assert [pair["chosen"][0]["content"]] == [better.completion]
        assert pair["rejected"] == [{"role": "assistant", "content": worse.completion}]
    assert preferences(votes) == list(pairs)
    base = LanguageModel(
        cache_dir=str(tmp_path), downloads=Downloads(cache_dir=str(tmp_path / "downloads"))
    ).prepare("tiny")
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(base.path),
        args=DPOConfig(
            output_dir=str(tmp_path / "dpo"),
            max_steps=1,
            per_device_train_batch_size=2,
            use_cpu=True,
            bf16=False,
            report_to=[],
            save_strategy="no",
        ),
        train_dataset=pairs,
        processing_class=AutoTokenizer.from_pretrained(base.path),
    )
    assert trainer.train().training_loss == pytest.approx(0.693, abs=0.01)  # log 2: nothing learnt


def test_two_who_vote_at_once_and_an_erasure_lose_nothing(home: WrittenHome) -> None:
    import threading

    def cast(event_id: str) -> None:
        for _ in range(5):
            store_vote(home.folder, home.warehouse, vote(event_id))

    others = pl.Series(["e20", "e21", "e22"])
    voters = [threading.Thread(target=cast, args=(event_id,)) for event_id in others]
    for voter in voters:
        voter.start()
    for number in range(5):
        store_vote(home.folder, home.warehouse, vote(f"e0{number}"))
        forget_votes(home.folder, home.warehouse, [f"e0{number}"])
    for voter in voters:
        voter.join()
    assert sorted(each.event_id for each in stored_votes(home.folder)) == sorted([*others] * 5)
