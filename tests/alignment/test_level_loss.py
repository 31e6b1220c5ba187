"""The loss looks at levels: what it adds to TRL's is what a plain forward pass gives."""

from itertools import accumulate
from math import log
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from curec_assets.alignment.sft import sft_trainer
from curec_assets.explanation.levels import CHAIN_WORDS, LEVEL_SCALE
from curec_assets.settings import AlignmentSettings
from resources.compute.accelerator import ResolvedAccelerator
from resources.generation.scale import TokenTexts
from resources.models.base_models import LanguageModel
from resources.models.downloads import Downloads

pytestmark = pytest.mark.filterwarnings("ignore")  # TRL's and torch's own, in training

LEVELS = (1, 5, 9, 7)
SCORE, WORD = 0.5, 0.2
# " even" and " likely" are words of the scale, but here no levels: a sentence's, and a note's.
CORPUS = pl.DataFrame(
    {
        "system": ["Use only the facts given."] * 5,
        "user": [f"Item: Film {n}" for n in range(5)],
        "handles_drawn": [False, False, False, False, True],
        "completion": [
            f"F1 A2 {CHAIN_WORDS[LEVELS[0] - 1]}\n",
            f"none {CHAIN_WORDS[LEVELS[1] - 1]}\nYou are likely to like it.",
            "Note: milder than the crowd; likes even likely more; likes drama less.",
            f"F1 {CHAIN_WORDS[LEVELS[2] - 1]}\nYou even like drama.",
            f"F1 F2 N1 {CHAIN_WORDS[LEVELS[3] - 1]}\n",
        ],
    }
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("base")
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    return LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny")


def trainer(
    base: Any,
    folder: Path,
    score: float = SCORE,
    word: float = WORD,
    *,
    plain: bool = False,
    **changes: Any,
) -> Any:
    torch.manual_seed(0)  # of the adapter's weights
    settings = AlignmentSettings(
        reason_examples=1,
        verdict_examples=1,
        note_examples=1,
        batch_size=5,
        learning_rate=1e-2,
        level_score_weight=score,
        level_word_weight=word,
        epochs=12,
    )
    return sft_trainer(
        CORPUS,
        base,
        settings,
        seed=0,
        accelerator=ResolvedAccelerator("cpu", "float32", 1),
        workspace=folder,
        plain=plain,
        **changes,
    )


def batch_of(made: Any, rows: list[int]) -> Any:
    return made.data_collator([made.train_dataset[row] for row in rows])


def added(logits: Any, level: int, texts: TokenTexts) -> float:
    """What a level adds, with its probabilities as writers of reasons compute them."""
    probabilities = logits.softmax(0).tolist()
    shares = texts.scale(LEVEL_SCALE).shares(probabilities.__getitem__)
    assert shares
    cumulative = accumulate(shares)
    score = sum((sum_ - (word >= level)) ** 2 for word, sum_ in enumerate(cumulative, 1))
    return SCORE * score - WORD * log(shares[level - 1])


def test_the_loss_is_trl_s_and_that_of_the_levels(base: Any, tmp_path: Path) -> None:
    with_levels, plain = trainer(base, tmp_path), trainer(base, tmp_path, plain=True)
    batch = batch_of(with_levels, [0, 1, 2, 3, 4])
    tokenizer = with_levels.processing_class
    texts = TokenTexts(tokenizer)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    logits = plain.model.eval()(**inputs).logits
    places = list(with_levels.places(batch["labels"].tolist()))
    assert [row for row, _, _ in places] == [0, 1, 3, 4]
    assert tuple(level for _, _, level in places) == LEVELS
    terms = []
    for row, position, level in places:
        rest = batch["input_ids"][row][position:]
        assert tokenizer.decode(rest).lstrip().startswith(CHAIN_WORDS[level - 1])
        terms.append(added(logits[row, position - 1], level, texts))
    losses = [
        made.compute_loss(made.model.eval(), dict(batch)).detach() for made in (with_levels, plain)
    ]
    drawn = places[-1]  # its handles are ignored, and TRL's part of its level is taken back
    row, position = drawn[:2]
    word = batch["input_ids"][row][position]
    learnt = int((batch["labels"][:, 1:] != -100).sum())
    taken_back = -float(logits[row, position - 1].log_softmax(0)[word]) / learnt
    expected = sum(terms) / len(terms) - taken_back
    assert expected > 0.1
    assert losses[0] - losses[1] == pytest.approx(expected, rel=1e-4)


def test_a_batch_without_levels_has_trl_s_loss(base: Any, tmp_path: Path) -> None:
    made = [trainer(base, tmp_path, plain=plain) for plain in (False, True)]
    notes = [float(each.compute_loss(each.model.eval(), batch_of(each, [2]))) for each in made]
    assert notes[0] == notes[1]


def test_a_row_of_several_examples_has_the_levels_of_all(base: Any, tmp_path: Path) -> None:
    made = trainer(base, tmp_path)
    labels = made.train_dataset["labels"]
    joined = [label for row in labels for label in row]
    alone = [
        sum(map(len, labels[:row])) + position
        for row, found in enumerate(labels)
        for _, position, _ in made.places([found])
    ]
    assert [position for _, position, _ in made.places([joined])] == alone
    assert [level for _, _, level in made.places([joined])] == list(LEVELS)


def test_handles_that_were_drawn_are_read_and_not_learnt(base: Any, tmp_path: Path) -> None:
    made, plain = trainer(base, tmp_path), trainer(base, tmp_path, plain=True)
    decode = made.processing_class.decode
    learnt = [
        [
            decode([token for token in labels if token != -100], skip_special_tokens=True).strip()
            for labels in each.train_dataset["labels"]
        ]
        for each in (made, plain)
    ]
    assert made.train_dataset["input_ids"] == plain.train_dataset["input_ids"]
    assert learnt[0][:4] == learnt[1][:4]
    word = CHAIN_WORDS[LEVELS[3] - 1]
    assert (learnt[0][4], learnt[1][4]) == (word, f"F1 F2 N1 {word}")


def test_examples_are_not_packed_for_then_drawn_handles_would_be_learnt(
    base: Any, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="set packing=False"):
        trainer(base, tmp_path, packing=True)


def test_training_on_it_brings_expected_levels_nearer(base: Any, tmp_path: Path) -> None:
    errors = []
    for score in (SCORE, 1e-9):
        made = trainer(base, tmp_path / str(score), score, 0.0)
        made.train()
        history = made.state.log_history
        errors.append([entry["level_error"] for entry in history if "level_error" in entry])
    (first, *_, last), (other, *_, without) = errors
    assert first == other
    assert last < 0.8 * without
