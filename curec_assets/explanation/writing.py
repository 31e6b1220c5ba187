"""Writing reasons with a generator: check, write again, and at last the composer's."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from curec_assets.core.seeds import derive, random_generator
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import parse_reason, reason_prompt
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
    only_like: bool = False
    """Whether the reason is to speak for the item, whatever the model's own verdict."""


@dataclass(frozen=True)
class WrittenReason:
    """A reason, and how it came about."""

    reason: str
    verdict: str
    verdict_probability: float | None
    """The model's probability of *like* at the token that decides the verdict."""
    grounded: bool
    """Accepted by the grounding check: well formed, every claim in the prompt."""
    source: str
    """`policy`, or `composer` when no attempt of the model was accepted."""
    attempts: int
    first_grounded: bool
    """Whether the model's first attempt was accepted."""
    history_left_out: int = 0
    """History items that were left out because the prompt would have been too long."""


def fit(facts: Facts, count: Callable[[Prompt], int], limit: int) -> tuple[Facts, int]:
    """`facts` less the oldest history items until their reason prompt has at most `limit` tokens.

    `count`: tokens of a prompt. Also how many were left out; the candidate and the instruction
    stay whole. Raises `EngineError` when the prompt is too long without any history.
    """
    left_out = 0
    while (tokens := count(reason_prompt(facts))) > limit:
        shorter = facts.without_oldest()
        if shorter is None:
            raise EngineError(
                f"the prompt about {facts.title!r} has {tokens} tokens without any history, more "
                f"than language_model.max_prompt_tokens = {limit}; raise it, or lower "
                "evidence.max_attributes"
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
) -> list[WrittenReason]:
    """One reason per request, in their order.

    The first attempt is greedy; what is not accepted is sampled again, at most `max_regenerations`
    times. What is still not accepted is replaced by the composer's (`compose_last`), with the
    verdict of the model's last attempt, or kept as it is and marked ungrounded. Prompts that are
    too long are shortened, see `fit`.
    """
    fitted = [
        fit(request.facts, generator.prompt_tokens, generation.max_prompt_tokens)
        for request in requests
    ]
    left_out = [count for _, count in fitted]
    if any(left_out):
        log.warning(
            "%d of %d prompts were too long: %d history items left out, oldest first",
            sum(map(bool, left_out)),
            len(fitted),
            sum(left_out),
        )
    requests = [
        replace(request, facts=facts) for request, (facts, _) in zip(requests, fitted, strict=True)
    ]
    done: dict[int, WrittenReason] = {}
    first_accepted: set[int] = set()
    waiting = list(range(len(requests)))
    for attempt in range(1, max_regenerations + 2):
        if not waiting:
            break
        prompts = [
            reason_prompt(
                requests[index].facts,
                seed=derive(seed, "attempt", attempt, requests[index].key),
                only_like=requests[index].only_like,
            )
            for index in waiting
        ]
        temperature = 0.0 if attempt == 1 else generation.temperature
        sampling = Sampling(generation.max_new_tokens, temperature)
        last = attempt == max_regenerations + 1
        refused = []
        for index, completion in zip(waiting, generator.write(prompts, sampling), strict=True):
            written = _judge(completion, requests[index].facts, checker, attempt)
            if attempt == 1 and written.grounded:
                first_accepted.add(index)
            if not written.grounded:
                refused.append(index)
                if not last:
                    continue
                if compose_last:
                    written = _composed(requests[index], written, checker, seed)
            done[index] = written
        waiting = refused
    log.info(
        "%d reasons: %d accepted at once, %d by the composer",
        len(done),
        len(first_accepted),
        sum(written.source == "composer" for written in done.values()),
    )
    return [
        replace(
            done[index], first_grounded=index in first_accepted, history_left_out=left_out[index]
        )
        for index in range(len(requests))
    ]


def _judge(
    completion: Completion, facts: Facts, checker: GroundingChecker, attempt: int
) -> WrittenReason:
    parsed = parse_reason(completion.text)
    probability = completion.verdict_probability
    if parsed is None:
        verdict = "dislike" if probability is not None and probability < 0.5 else "like"
        return WrittenReason("", verdict, probability, False, "policy", attempt, False)
    check = checker.check(parsed.reason, facts, parsed.verdict)
    accepted = completion.finished and check.accepted
    return WrittenReason(
        parsed.reason, parsed.verdict, probability, accepted, "policy", attempt, False
    )


def _composed(
    request: ReasonRequest, refused: WrittenReason, checker: GroundingChecker, seed: int
) -> WrittenReason:
    random = random_generator(seed, "composer", request.key)
    reason = compose(request.facts, refused.verdict, random).reason
    return WrittenReason(
        reason=reason,
        verdict=refused.verdict,
        verdict_probability=refused.verdict_probability,
        grounded=checker.check(reason, request.facts, refused.verdict).accepted,
        source="composer",
        attempts=refused.attempts,
        first_grounded=False,
    )
