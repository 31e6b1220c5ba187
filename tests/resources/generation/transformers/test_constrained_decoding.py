"""What a row's grammar keeps of the verdict."""

import math

import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from curec_assets.explanation.facts import Facts, HistoryItem
from curec_assets.explanation.grammar import evidence_grammar
from resources.generation.transformers.constrained_decoding import Constraint, GrammarCompiler
from resources.models.base_models import LanguageModel
from resources.models.downloads import Downloads

# Attributes that begin with the letters of the verdicts, offered side by side as these are.
ATTRIBUTES = ("drama", "literature")
GRAMMAR = evidence_grammar(
    Facts("The Silent Harbor", ATTRIBUTES, (HistoryItem("The Last Garden", ATTRIBUTES),), ())
)
EVIDENCE = 'Evidence: liked "The Last Garden"; disliked none; shared literature; verdict'


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    folder = tmp_path_factory.mktemp("base")
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    model = LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny")
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(model.path)
    return loaded


@pytest.fixture(scope="module")
def compiler(tokenizer: PreTrainedTokenizerBase) -> GrammarCompiler:
    return GrammarCompiler(tokenizer, len(tokenizer))


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([" like"], 0.6),
        ([" dislike"], 0.6),
        ([" dis", "like"], 0.6),
        ([" d", "i", "s", "like"], 0.6),
        ([" ", "like"], 0.2),
        ([" ", "l", "i", "k", "e"], 0.2),
        ([" ", "di", "s", "like"], 0.2),
        ([" "], None),
    ],
)
def test_the_probability_is_that_of_the_token_that_decides(
    tokenizer: PreTrainedTokenizerBase,
    compiler: GrammarCompiler,
    pieces: list[str],
    expected: float | None,
) -> None:
    """However the verdict is cut into tokens, and whatever was offered before it."""

    def token(text: str) -> int:
        (one,) = tokenizer.encode(text)
        return one

    def scores(**probabilities: float) -> Tensor:
        filled = torch.full((len(tokenizer),), -math.inf)
        for text, probability in probabilities.items():
            filled[token(text.replace("_", " "))] = math.log(probability)
        return filled

    at_the_space = scores(_like=0.6, _d=0.1, _dis=0.3)
    after_it = scores(l=0.05, lik=0.15, d=0.8)
    constraint = Constraint(compiler, GRAMMAR)
    for one in tokenizer.encode(EVIDENCE):
        constraint.accept(one, at_the_space)
    assert constraint.verdict_probability is None
    for place, piece in enumerate(pieces):
        constraint.accept(token(piece), after_it if place else at_the_space)
    assert constraint.verdict_probability == (expected and pytest.approx(expected))
