"""What a row's grammar keeps of the side it takes."""

import math

import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from resources.generation.transformers.constrained_decoding import Constraint, DecodingGrammars
from resources.models.base_models import LanguageModel
from resources.models.downloads import Downloads

# Words that begin with the letters of the sides, offered side by side as these are.
GRAMMAR = '''root ::= (" literature" | " unit" | " event") ";" side
side ::= " likely" | " unlikely" | " even"'''
BEFORE = " literature;"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    folder = tmp_path_factory.mktemp("base")
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    model = LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny")
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(model.path)
    return loaded


@pytest.fixture(scope="module")
def grammars(tokenizer: PreTrainedTokenizerBase) -> DecodingGrammars:
    return DecodingGrammars(tokenizer, len(tokenizer))


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([" likely"], 0.6),
        ([" unlikely"], 0.6),
        ([" even"], 0.6),
        ([" like", "l", "y"], 0.6),
        ([" u", "n", "li", "k", "e", "l", "y"], 0.6),
        ([" e", "v", "e", "n"], 0.6),
        ([" ", "like", "l", "y"], 0.2),
        ([" ", "l", "i", "k", "e", "l", "y"], 0.2),
        ([" ", "u", "n", "li", "k"], 0.2),
        ([" ", "e", "v", "e", "n"], 0.2),
        ([" "], None),
    ],
)
def test_the_probability_is_that_of_the_token_that_decides(
    tokenizer: PreTrainedTokenizerBase,
    grammars: DecodingGrammars,
    pieces: list[str],
    expected: float | None,
) -> None:
    """However the side is cut into tokens, and whatever was offered before it."""

    def token(text: str) -> int:
        (one,) = tokenizer.encode(text)
        return one

    def scores(**probabilities: float) -> Tensor:
        filled = torch.full((len(tokenizer),), -math.inf)
        for text, probability in probabilities.items():
            filled[token(text.replace("_", " "))] = math.log(probability)
        return filled

    at_the_space = scores(_likely=0.2, _like=0.1, _u=0.1, _unlikely=0.1, _even=0.5)
    after_it = scores(l=0.05, li=0.15, u=0.8)
    constraint = Constraint(grammars, GRAMMAR)
    for one in tokenizer.encode(BEFORE):
        constraint.accept(one, at_the_space)
    assert constraint.like_probability is None
    for place, piece in enumerate(pieces):
        constraint.accept(token(piece), after_it if place else at_the_space)
    assert constraint.like_probability == (expected and pytest.approx(expected))
