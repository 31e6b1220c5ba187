"""What a row's grammar keeps of the scale that it offers."""

import math

import psutil
import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from resources.compute.memory import release
from resources.generation import grammar_compiler
from resources.generation.transformers.constrained_decoding import Constraint, DecodingGrammars
from resources.models.base_models import LanguageModel
from resources.models.downloads import Downloads

# Words that begin with the letters of the scale, offered as its words are.
GRAMMAR = '''root ::= (" literature" | " unit" | " event") ";" word
word ::= " unlikely" | " even" | " likely"'''
SCALE = (" unlikely", " even", " likely")
BEFORE = " literature;"
AT_THE_SPACE, AFTER_IT = (0.2, 0.5, 0.3), (0.8, 0.0, 0.2)


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
        ([" likely"], AT_THE_SPACE),
        ([" unlikely"], AT_THE_SPACE),
        ([" even"], AT_THE_SPACE),
        ([" like", "l", "y"], AT_THE_SPACE),
        ([" u", "n", "li", "k", "e", "l", "y"], AT_THE_SPACE),
        ([" e", "v", "e", "n"], AT_THE_SPACE),
        ([" ", "like", "l", "y"], AFTER_IT),
        ([" ", "l", "i", "k", "e", "l", "y"], AFTER_IT),
        ([" ", "u", "n", "li", "k"], AFTER_IT),
        ([" ", "e", "v", "e", "n"], AFTER_IT),
        ([" "], None),
    ],
)
def test_the_probability_is_that_of_the_token_that_decides(
    tokenizer: PreTrainedTokenizerBase,
    grammars: DecodingGrammars,
    pieces: list[str],
    expected: tuple[float, ...] | None,
) -> None:
    """However the word is cut into tokens, and whatever was offered before it."""

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
    constraint = Constraint(grammars, GRAMMAR, SCALE)
    for one in tokenizer.encode(BEFORE):
        constraint.accept(one, at_the_space)
    assert constraint.scale is None
    for place, piece in enumerate(pieces):
        constraint.accept(token(piece), after_it if place else at_the_space)
    assert constraint.scale == (expected and pytest.approx(expected))


def test_memory_does_not_grow_with_the_grammars_of_a_long_run(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grammar_compiler, "_KEPT", 8)
    grammars = DecodingGrammars(tokenizer, len(tokenizer))

    def held_after(numbers: range) -> int:
        for number in numbers:
            grammars.compile(_long_grammar(number))
        release()
        return int(psutil.Process().memory_info().rss)

    before = held_after(range(16))
    size = grammars.compile(_long_grammar(0)).memory_size_bytes
    assert held_after(range(16, 216)) - before < 50 * size


def _long_grammar(number: int) -> str:
    return "root ::= " + " | ".join(f'"{number} of {word} things"' for word in range(300))
