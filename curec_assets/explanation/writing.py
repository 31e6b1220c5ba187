"""Writing reasons with a generator: check, write again, and at last the composer's."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from curec_assets.core.seeds import derive, random_generator
from curec_assets.evidence.levels import LEVELS, TOSS_UP
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import ParsedReason, parse_reason, reason_prompt
from curec_assets.explanation.sentence_grammar import sentence_grammar
from curec_assets.settings import LanguageModelSettings
from resources.errors import EngineError
from resources.generation.protocol import Completion, Prompt, Sampling, TextGenerator

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
    like_probability: float | None
    """The model's own probability of *likely* at the token that decides the side, at the first
    attempt where that offered both."""
    grounded: bool
    """Accepted by the grounding check: well formed, every claim offered and cited."""
    source: str
    """`policy`, or `composer` when no attempt of the model was accepted."""
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
) -> list[WrittenReason]:
    """One reason per request, in their order.

    The first attempt is greedy and free. What is not grounded, or further than `max_level_gap`
    levels from the request's, is sampled again, at most `max_regenerations` times, under a narrower
    grammar: the chain that was written, at the nearest level within the gap, then a sentence that
    can say no more than it cites. What is still not accepted is replaced by the composer's
    (`compose_last`), at the request's level or else the model's, or kept as it is. Prompts that are
    too long are shortened, see `fit`.
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
        prompts = [
            _prompt(requests[index], attempt, seed, done.get(index), max_level_gap)
            for index in waiting
        ]
        temperature = 0.0 if attempt == 1 else generation.temperature
        sampling = Sampling(generation.max_new_tokens, temperature)
        refused = []
        for index, completion in zip(waiting, generator.write(prompts, sampling), strict=True):
            written = _judge(completion, requests[index].facts, checker, attempt)
            first.setdefault(index, written)
            done[index] = written
            if not written.grounded or written.level not in _near(
                requests[index].level, max_level_gap
            ):
                refused.append(index)
        waiting = refused
    if compose_last:
        for index in waiting:
            done[index] = _composed(requests[index], done[index], checker, seed)
    log.info(
        "%d reasons: %d grounded at once, %d by the composer",
        len(done),
        sum(written.grounded for written in first.values()),
        sum(written.source == "composer" for written in done.values()),
    )
    return [
        replace(
            done[index],
            like_probability=_first_known(
                first[index].like_probability, done[index].like_probability
            ),
            first_grounded=first[index].grounded,
            facts_left_out=left_out[index],
        )
        for index in range(len(requests))
    ]


def _prompt(
    request: ReasonRequest,
    attempt: int,
    seed: int,
    before: WrittenReason | None,
    max_level_gap: int | None,
) -> Prompt:
    seed = derive(seed, "attempt", attempt, request.key)
    if before is None:
        return reason_prompt(request.facts, seed=seed)
    near = _near(request.level, max_level_gap)
    prompt = reason_prompt(request.facts, seed=seed, levels=near)
    if not before.reason:
        return prompt
    level = min(near, key=lambda each: abs(each - before.level))
    grammar = sentence_grammar(ParsedReason(before.cited, level, ""), request.facts)
    return replace(prompt, grammar=grammar) if grammar else prompt


def _near(level: int | None, gap: int | None) -> range:
    """The levels within `gap` of `level`: all where either is unknown."""
    if level is None or gap is None:
        return range(1, LEVELS + 1)
    return range(max(1, level - gap), min(LEVELS, level + gap) + 1)


def _judge(
    completion: Completion, facts: Facts, checker: GroundingChecker, attempt: int
) -> WrittenReason:
    parsed = parse_reason(completion.text)
    probability = completion.like_probability
    if parsed is None:
        return WrittenReason("", "", "", TOSS_UP, (), probability, False, "policy", attempt, False)
    accepted = completion.finished and checker.check(parsed, facts).accepted
    return _written(parsed, probability, accepted, "policy", attempt)


def _composed(
    request: ReasonRequest, refused: WrittenReason, checker: GroundingChecker, seed: int
) -> WrittenReason:
    random = random_generator(seed, "composer", request.key)
    level = refused.level if request.level is None else request.level
    parsed = compose(request.facts, level, random)
    accepted = checker.check(parsed, request.facts).accepted
    return _written(parsed, refused.like_probability, accepted, "composer", refused.attempts)


def _written(
    parsed: ParsedReason, probability: float | None, accepted: bool, source: str, attempts: int
) -> WrittenReason:
    return WrittenReason(
        reason=parsed.reason,
        verdict=parsed.verdict,
        why=parsed.why,
        level=parsed.level,
        cited=parsed.cited,
        like_probability=probability,
        grounded=accepted,
        source=source,
        attempts=attempts,
        first_grounded=False,
    )


def _first_known(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
