"""Targets of the task *reason* from a larger model, rejection-sampled.

The teacher reads what the policy reads, and its answer is bound by the same grammar; before that
come an explanation of the form and two composed demonstrations. The label is in no prompt: it only
decides, afterwards, which answers are kept. Where none is, the composer's target stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curec_assets.core.seeds import derive, random_generator
from curec_assets.explanation.composer import completion, compose
from curec_assets.explanation.facts import Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import parse_reason, reason_prompt
from curec_assets.settings import Profile
from resources.generation.grammar_tail import constrained_part
from resources.generation.protocol import (
    Completion,
    GeneratorOptions,
    Prompt,
    Sampling,
    TextGenerator,
)

_SYSTEM = """\
You explain recommendations. Each message may tell what a user liked and disliked lately, and \
their taste; then it names an item, what it is about, and the liked and disliked items that speak \
to it, each with the attributes that it shares with the item. \
Judge whether the user will like the item, and answer in just this form:
Evidence: liked "TITLE", "TITLE"; disliked "TITLE"; shared ATTRIBUTE, ATTRIBUTE; verdict VERDICT
Reason: TEXT
- liked: at most two liked items that you argue from; disliked: at most one; or none
- shared: at most two attributes that they share with the item; or none
- VERDICT: like or dislike
- TEXT: one or two sentences to the user, on one line, at most {words} words. Name the item or an \
item of the evidence, each once, in quotation marks. For a dislike say that the item may not \
suit them.
Use only the facts of the message. Never call a disliked item liked, or a liked one disliked."""

UNFINISHED, MALFORMED = "unfinished", "malformed"
OTHER_VERDICT, UNGROUNDED = "other verdict", "ungrounded"
_ANY_LENGTH = 2**31  # tokens: the teacher's context is its server's to judge


@dataclass(frozen=True)
class Lesson:
    """A reason that is to be written by the teacher."""

    event_id: str
    user_id: str
    facts: Facts
    verdict: str
    """What the outcome was: `like` or `dislike`. It is not shown to the teacher."""


@dataclass(frozen=True)
class Taught:
    """What came of a lesson."""

    completion: str | None
    """Evidence and reason in the policy's form; None when no answer was kept."""
    refused: tuple[str, ...]
    """Why each of the answers before it was refused."""


class Teacher:
    """Writes targets with a model that is told what they should be."""

    def __init__(
        self, generator: TextGenerator, checker: GroundingChecker, profile: Profile
    ) -> None:
        self._generator = generator
        self._checker = checker
        self._seed = profile.seed
        self._system = _SYSTEM.format(words=profile.explanation.wanted_words)
        self._sampling = Sampling(
            profile.language_model.max_new_tokens,
            profile.teacher.temperature,
            profile.teacher.samples,
        )

    def teach(self, lessons: Sequence[Lesson]) -> Mapping[str, Taught]:
        """event_id → what the teacher made of it. Raises `EngineError`."""
        prompts = self.prompts(lessons)
        answers = self._generator.write(prompts, self._sampling)
        count = self._sampling.samples
        return {
            lesson.event_id: self._first_kept(
                lesson, prompt, answers[position * count : (position + 1) * count]
            )
            for position, (lesson, prompt) in enumerate(zip(lessons, prompts, strict=True))
        }

    def prompts(self, lessons: Sequence[Lesson]) -> list[Prompt]:
        """What the teacher reads, per lesson; nearly all begin with the same demonstrations."""
        ranked = {
            verdict: sorted(lessons, key=lambda lesson: -_says(lesson.facts, verdict))
            for verdict in ("like", "dislike")
        }
        return [self._prompt(lesson, ranked) for lesson in lessons]

    def _prompt(self, lesson: Lesson, ranked: Mapping[str, Sequence[Lesson]]) -> Prompt:
        asked = reason_prompt(lesson.facts)
        messages = [("system", self._system)]
        used: set[str] = set()
        for verdict, others in ranked.items():
            for other in others:
                # Not of the same user, whose later history would tell how this event ended.
                if other.user_id != lesson.user_id and other.event_id not in used:
                    messages += self._demonstration(other, verdict)
                    used.add(other.event_id)
                    break
        messages += asked.messages[1:]
        seed = derive(self._seed, "teacher", lesson.event_id)
        return Prompt(tuple(messages), asked.grammar, seed)

    def _demonstration(self, other: Lesson, verdict: str) -> list[tuple[str, str]]:
        """The verdict is ours, not the outcome: a demonstration tells no label either."""
        random = random_generator(self._seed, "demonstration", other.event_id)
        answer = completion(compose(other.facts, verdict, random))
        return [*reason_prompt(other.facts).messages[1:], ("assistant", answer)]

    def _first_kept(self, lesson: Lesson, prompt: Prompt, answers: Sequence[Completion]) -> Taught:
        refused: list[str] = []
        for answer in answers:
            cause = self._refusal(lesson, prompt, answer)
            parsed = parse_reason(answer.text)
            if parsed is not None and cause is None:
                return Taught(completion(parsed), tuple(refused))
            refused.append(cause or MALFORMED)
        return Taught(None, tuple(refused))

    def _refusal(self, lesson: Lesson, prompt: Prompt, answer: Completion) -> str | None:
        if not answer.finished:
            return UNFINISHED
        parsed = parse_reason(answer.text)
        # The grammar is looked at again: not every server obeys one.
        part = constrained_part(prompt.grammar, answer.text)
        if parsed is None or part is None or not part.complete:
            return MALFORMED
        if parsed.verdict != lesson.verdict:
            return OTHER_VERDICT
        found = self._checker.check(parsed.reason, lesson.facts, parsed.verdict)
        if not found.well_formed:
            return MALFORMED
        return UNGROUNDED if found.unsupported else None


def teacher_options(profile: Profile) -> GeneratorOptions:
    """How the teacher's generator is to be opened."""
    return GeneratorOptions(
        batch_size=profile.teacher.concurrency,
        max_prompt_tokens=_ANY_LENGTH,
        max_new_tokens=profile.language_model.max_new_tokens,
        engine="server",
        server=profile.teacher.endpoint(),
    )


def _says(facts: Facts, verdict: str) -> int:
    """2: an item of that role shares an attribute, 1: there is one, 0: there is none."""
    items = facts.liked if verdict == "like" else facts.disliked
    return (len(items) > 0) + any(item.shared for item in items)
