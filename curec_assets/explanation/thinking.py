"""A completion in two steps: the model thinks (handles and level), then words what it cites.

Between the steps a greedy level is graded: the model's probabilities of the nine levels give an
expected level, and cuts make a level of that. The likeliest word alone would lose what the others
say (the written level's AUC falls), so this is what is written. A sampled level stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from curec_assets.evidence.levels import LEVELS, expected_level, graded_level
from curec_assets.explanation.facts import Facts
from curec_assets.explanation.grammar import CHAIN_END
from curec_assets.explanation.prompts import ParsedReason, parse_reason, reason_prompt
from curec_assets.explanation.wording import wording_prompt
from resources.generation.protocol import Completion, Prompt, Sampling, TextGenerator

THOUGHT_TOKENS = 32
"""Longest chain of thought, in tokens; they are about ten."""
MIDPOINTS = tuple(level + 0.5 for level in range(1, LEVELS))
"""Cuts of the expected level where nothing better is known."""
FEWEST = 40
"""Expected levels that cuts are matched on at least."""


@dataclass(frozen=True)
class Question:
    """A reason that is asked for."""

    facts: Facts
    seed: int
    levels: tuple[int, ...] = tuple(range(1, LEVELS + 1))
    """Those that may be written."""

    def prompt(self) -> Prompt:
        """What the model is asked."""
        return reason_prompt(self.facts, seed=self.seed, levels=self.levels)


@dataclass(frozen=True)
class Answer:
    """What a model wrote in both steps."""

    completion: Completion
    """Of the second step: it has the whole text, chain included."""
    parsed: ParsedReason | None
    expected: float | None
    """The expected level by the model's own probabilities, where it had a choice."""


def answer(
    generator: TextGenerator,
    questions: Sequence[Question],
    sampling: Sampling,
    *,
    level_cuts: Sequence[float] = MIDPOINTS,
    free: bool = False,
) -> list[Answer]:
    """`sampling.samples` answers per question, next to each other, in the order of the questions.

    `level_cuts`: of the expected level, for greedy decoding. `free`: whether the model words
    freely. Raises `EngineError`.
    """
    thoughts = think(generator, questions, sampling, level_cuts=level_cuts)
    prompts = [
        wording_prompt(
            replace(question.prompt(), seed=question.seed + sample),
            question.facts,
            thought.cited,
            thought.level,
            free=free,
        )
        for number, question in enumerate(questions)
        for sample in range(sampling.samples)
        for thought in [thoughts[number * sampling.samples + sample]]
    ]
    worded = generator.write(prompts, replace(sampling, samples=1))
    return [
        Answer(_with_choices(completion, thought), parse_reason(completion.text), thought.expected)
        for thought, completion in zip(thoughts, worded, strict=True)
    ]


@dataclass(frozen=True)
class Thought:
    """A chain of thought."""

    cited: tuple[str, ...]
    level: int
    expected: float | None
    completion: Completion | None = None
    """As it was written, with what its tokens were chosen among where that was asked for."""


def matched_cuts(expected: Sequence[float | None], levels: Sequence[int]) -> tuple[float, ...]:
    """Cuts that bring expected levels to the distribution of `levels`, the evidence model's.

    An unsure model's expected levels crowd in the middle, so between midpoints the outer levels
    would never be written; quantile for quantile they are all used, in the same order. A level that
    is not among `levels` keeps its midpoint, as do all where fewer than `FEWEST` are known.
    `expected`: of the same events, None where the engine did not tell.
    """
    pairs = [(e, level) for e, level in zip(expected, levels, strict=True) if e is not None]
    if len(pairs) < FEWEST:
        return MIDPOINTS
    ordered = sorted(e for e, _ in pairs)
    cuts = []
    for level, midpoint in enumerate(MIDPOINTS, start=1):
        below = sum(known <= level for _, known in pairs)
        if below == 0:
            cuts.append(min(midpoint, ordered[0]))
        elif below == len(ordered):
            cuts.append(max(midpoint, ordered[-1]))
        else:
            cuts.append((ordered[below - 1] + ordered[below]) / 2)
    return tuple(cuts)


def think(
    generator: TextGenerator,
    questions: Sequence[Question],
    sampling: Sampling,
    *,
    level_cuts: Sequence[float] = MIDPOINTS,
) -> list[Thought]:
    """The first step alone; as `answer`."""
    chains = generator.write([question.prompt() for question in questions], chained(sampling))
    return [
        _thought(chain, questions[number // sampling.samples].levels, sampling, level_cuts)
        for number, chain in enumerate(chains)
    ]


def chained(sampling: Sampling) -> Sampling:
    """How the first step is sampled, where `sampling` is how the answer is."""
    return replace(sampling, max_new_tokens=THOUGHT_TOKENS, stop=(CHAIN_END,))


def _thought(
    chain: Completion, levels: Sequence[int], sampling: Sampling, cuts: Sequence[float]
) -> Thought:
    parsed = parse_reason(f"{chain.text}{CHAIN_END}")
    if parsed is None:  # an engine that ignores grammars, or a limit that cut the chain
        middle = min(levels, key=lambda level: abs(level - (LEVELS + 1) / 2))
        return Thought((), middle, None)
    if chain.scale is None:
        return Thought(parsed.cited, parsed.level, None, chain)
    expected = expected_level(chain.scale, levels)
    greedy = sampling.temperature == 0.0
    level = graded_level(expected, levels, cuts) if greedy else parsed.level
    return Thought(parsed.cited, level, expected, chain if level == parsed.level else None)


def _with_choices(worded: Completion, thought: Thought) -> Completion:
    """The second step, whose chain was held, with the choices of the first and their probabilities.

    Where the same chain was written with other tokens, its choices are lost: they count as forced.
    """
    chain = thought.completion
    size = len(chain.token_ids) if chain is not None else 0
    if chain is None or not worded.allowed or worded.token_ids[:size] != chain.token_ids:
        return worded
    logprobs = worded.logprobs
    if logprobs is not None and chain.logprobs is not None:
        logprobs = (*chain.logprobs, *logprobs[size:])
    return replace(worded, allowed=(*chain.allowed, *worded.allowed[size:]), logprobs=logprobs)
