"""Writing reasons with a generator: check, write again, and at last the composer's."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from curec_assets.core.seeds import derive, random_generator
from curec_assets.evidence.levels import LEVELS, TOSS_UP
from curec_assets.explanation.balance import misleads
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import ParsedReason, reason_prompt
from curec_assets.explanation.thinking import (
    MIDPOINTS,
    Answer,
    Question,
    answer,
    chained,
    matched_cuts,
    think,
)
from curec_assets.settings import LanguageModelSettings
from resources.errors import EngineError
from resources.generation.protocol import Prompt, Sampling, TextGenerator

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReasonRequest:
    """A reason that is wanted."""

    key: str
    """Names the request in seeds: the event id, for instance."""
    facts: Facts
    level: int | None = None
    """The evidence model's level, where it is known; in no prompt."""


@dataclass(frozen=True)
class WrittenReason:
    """A reason, and how it came about."""

    reason: str
    """Verdict and why sentence; empty when the text did not have the form."""
    verdict: str
    why: str
    level: int
    """1 to 9; a toss-up when the text did not have the form."""
    cited: tuple[str, ...]
    """Handles, see `facts_cited`."""
    expected_level: float | None
    """By the model's own probabilities of the levels, at the first attempt."""
    grounded: bool
    """Accepted by the grounding check: well formed, every claim offered and cited."""
    source: str
    """`policy`, or `composer` when no attempt of the model was accepted; `waiting` where it is the
    composer's until a later run, see `reasons.lasting`."""
    attempts: int
    first_grounded: bool
    """Whether the model's first attempt was grounded."""
    facts_left_out: int = 0
    """Facts that were left out because the prompt would have been too long."""


def facts_cited(written: WrittenReason, facts: Facts) -> list[Fact]:
    """The facts that a reason cites, with the numbers behind them, in the order of the prompt.

    `facts`: those of the request.
    """
    handles = shortened(facts, written.facts_left_out).handles
    return [handles[handle] for handle in written.cited if handle in handles]


def shortened(facts: Facts, left_out: int) -> Facts:
    """`facts` less their `left_out` weakest."""
    for _ in range(left_out):
        facts = facts.without_weakest() or facts
    return facts


def fit(facts: Facts, count: Callable[[Prompt], int], limit: int) -> tuple[Facts, int]:
    """`facts` less the weakest until their reason prompt has at most `limit` tokens.

    `count`: tokens of a prompt. Also how many were left out; the item and the instruction stay
    whole. Raises `EngineError` when the prompt is too long without any fact.
    """
    left_out = 0
    while (tokens := count(reason_prompt(facts))) > limit:
        shorter = facts.without_weakest()
        if shorter is None:
            raise EngineError(
                f"the prompt about {facts.title!r} has {tokens} tokens without any fact, more "
                f"than language_model.max_prompt_tokens = {limit}; raise it, or lower "
                "explanation.attributes"
            )
        facts, left_out = shorter, left_out + 1
    return facts, left_out


def matched_levels(
    generator: TextGenerator,
    requests: Sequence[ReasonRequest],
    generation: LanguageModelSettings,
    *,
    seed: int,
) -> tuple[float, ...]:
    """The cuts that suit this model on these requests, whose level is known: `level_cuts` of
    `write_reasons`. It thinks the first attempts of `write_reasons`, so a journal keeps them.
    """
    questions = _first_questions(generator, requests, generation, seed)
    thoughts = think(generator, questions, Sampling(generation.max_new_tokens, temperature=0.0))
    levels = [TOSS_UP if request.level is None else request.level for request in requests]
    return matched_cuts([thought.expected for thought in thoughts], levels)


def begun(
    generator: TextGenerator,
    requests: Sequence[ReasonRequest],
    generation: LanguageModelSettings,
    is_kept: Callable[[Prompt, Sampling], bool],
    *,
    seed: int,
) -> list[bool]:
    """For each request, whether the first attempt of `write_reasons` was written before.

    `is_kept`: of a prompt and how it is sampled.
    """
    sampling = chained(Sampling(generation.max_new_tokens, temperature=0.0))
    questions = _first_questions(generator, requests, generation, seed)
    return [is_kept(question.prompt(), sampling) for question in questions]


def _first_questions(
    generator: TextGenerator,
    requests: Sequence[ReasonRequest],
    generation: LanguageModelSettings,
    seed: int,
) -> list[Question]:
    return [
        Question(
            fit(request.facts, generator.prompt_tokens, generation.max_prompt_tokens)[0],
            derive(seed, "attempt", 1, request.key),
        )
        for request in requests
    ]


def write_reasons(
    generator: TextGenerator,
    requests: Sequence[ReasonRequest],
    checker: GroundingChecker,
    generation: LanguageModelSettings,
    *,
    seed: int,
    max_regenerations: int,
    compose_last: bool,
    max_level_gap: int | None = None,
    level_cuts: Sequence[float] = MIDPOINTS,
    free: bool = False,
) -> list[WrittenReason]:
    """One reason per request, in their order.

    The first attempt is greedy and free to name any level; what is not grounded, misleads, or is
    further than `max_level_gap` levels from the request's, is sampled again, at most
    `max_regenerations` times, then among the levels within the gap only. What is still not accepted
    is replaced by the composer's (`compose_last`), at the request's level or else the model's, or
    kept as it is. Prompts that are too long are shortened, see `fit`. `level_cuts`, `free`: see
    `thinking.answer`; misleads: see `balance`.
    """
    fitted = [
        fit(request.facts, generator.prompt_tokens, generation.max_prompt_tokens)
        for request in requests
    ]
    left_out = [count for _, count in fitted]
    if any(left_out):
        log.warning(
            "%d of %d prompts were too long: %d facts left out, weakest first",
            sum(map(bool, left_out)),
            len(fitted),
            sum(left_out),
        )
    requests = [
        replace(request, facts=facts) for request, (facts, _) in zip(requests, fitted, strict=True)
    ]
    first: dict[int, WrittenReason] = {}
    done: dict[int, WrittenReason] = {}
    waiting = list(range(len(requests)))
    for attempt in range(1, max_regenerations + 2):
        if not waiting:
            break
        questions = [
            Question(
                requests[index].facts,
                derive(seed, "attempt", attempt, requests[index].key),
                _near(requests[index].level, None if attempt == 1 else max_level_gap),
            )
            for index in waiting
        ]
        temperature = 0.0 if attempt == 1 else generation.temperature
        sampling = Sampling(generation.max_new_tokens, temperature)
        refused = []
        answers = answer(generator, questions, sampling, level_cuts=level_cuts, free=free)
        for index, given in zip(waiting, answers, strict=True):
            written = _judge(given, requests[index].facts, checker, attempt)
            first.setdefault(index, written)
            done[index] = written
            near = _near(requests[index].level, max_level_gap)
            if (
                not written.grounded
                or written.level not in near
                or misleads(requests[index].facts, written.cited, written.level)
            ):
                refused.append(index)
        waiting = refused
    if compose_last:
        for index in waiting:
            last = done[index]
            done[index] = replace(
                composed(requests[index], checker, seed, level=last.level), attempts=last.attempts
            )
    log.info(
        "%d reasons: %d grounded at once, %d by the composer",
        len(done),
        sum(written.grounded for written in first.values()),
        sum(written.source == "composer" for written in done.values()),
    )
    return [
        replace(
            done[index],
            expected_level=first[index].expected_level,
            first_grounded=first[index].grounded,
            facts_left_out=left_out[index],
        )
        for index in range(len(requests))
    ]


def _near(level: int | None, gap: int | None) -> tuple[int, ...]:
    """The levels within `gap` of `level`: all where either is unknown."""
    if level is None or gap is None:
        return tuple(range(1, LEVELS + 1))
    return tuple(range(max(1, level - gap), min(LEVELS, level + gap) + 1))


def _judge(given: Answer, facts: Facts, checker: GroundingChecker, attempt: int) -> WrittenReason:
    parsed, expected = given.parsed, given.expected
    if parsed is None:
        return WrittenReason("", "", "", TOSS_UP, (), expected, False, "policy", attempt, False)
    accepted = given.completion.finished and checker.check(parsed, facts).accepted
    return _written(parsed, expected, accepted, "policy", attempt)


def composed(
    request: ReasonRequest, checker: GroundingChecker, seed: int, *, level: int = TOSS_UP
) -> WrittenReason:
    """The composer's reason, of the request's level; of `level` where it has none."""
    random = random_generator(seed, "composer", request.key)
    parsed = compose(request.facts, request.level or level, random)
    accepted = checker.check(parsed, request.facts).accepted
    return _written(parsed, None, accepted, "composer", attempts=0)


def _written(
    parsed: ParsedReason, expected: float | None, accepted: bool, source: str, attempts: int
) -> WrittenReason:
    return WrittenReason(
        reason=parsed.reason,
        verdict=parsed.verdict,
        why=parsed.why,
        level=parsed.level,
        cited=parsed.cited,
        expected_level=expected,
        grounded=accepted,
        source=source,
        attempts=attempts,
        first_grounded=False,
    )
