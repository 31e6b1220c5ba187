"""Targets of the task *reason* from a larger model, rejection-sampled.

The teacher reads what the policy reads, and its answer is bound by the same grammar; before that
come an explanation of the form and two composed demonstrations, and after it the evidence model's
level and the wordings that the grounding check knows. No label is in any prompt. Where no answer is
kept, the composer's target stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curec_assets.core.seeds import derive, random_generator
from curec_assets.evidence.levels import TOSS_UP
from curec_assets.explanation.clauses import clauses_of
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Facts
from curec_assets.explanation.grammar import chain_grammar
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.levels import chain_words
from curec_assets.explanation.naming import in_words
from curec_assets.explanation.prompts import completion, parse_reason, reason_prompt
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
You say how likely a user is to like an item, and why. Each message may tell the user's taste; \
then it names an item, what it is about, and facts, one a line: a handle, what it is about, and \
how strongly it speaks for (F) or against (A) the item, or what is not known (N). Then it gives \
the level to argue for, and for each fact the wordings to choose from. Answer in just this form:
HANDLES LEVEL
SENTENCE
- HANDLES: at most {cited_for} of F and {cited_against} of A, and one N, in the order of the \
message; the strongest, those on the side of the level first of all
- LEVEL: the level of the message
- SENTENCE: one or two sentences to the user, on one line, at most {words} words, that argue from \
just the cited facts, each once, in one of its wordings. Join what agrees with "and", "besides", \
"what is more", and what does not with "though", "but", "even so", "on the other hand". Name the \
item by its title in quotation marks where you first speak of it, then as "it".
Say nothing that the message does not say."""

UNFINISHED, MALFORMED = "unfinished", "malformed"
OTHER_LEVEL, UNGROUNDED = "other level", "ungrounded"
_ANY_LENGTH = 2**31  # tokens: the teacher's context is its server's to judge


@dataclass(frozen=True)
class Lesson:
    """A reason that is to be written by the teacher."""

    event_id: str
    user_id: str
    facts: Facts
    level: int
    """The evidence model's."""


@dataclass(frozen=True)
class Taught:
    """What came of a lesson."""

    completion: str | None
    """Chain and why sentence in the policy's form; None when no answer was kept."""
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
        self._system = _SYSTEM.format(
            words=profile.explanation.wanted_words,
            cited_for=profile.explanation.cited_for,
            cited_against=profile.explanation.cited_against,
        )
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
        sides = [
            [lesson for lesson in lessons if (lesson.level > TOSS_UP) == likely]
            for likely in (True, False)
        ]
        return [self._prompt(lesson, sides) for lesson in lessons]

    def _prompt(self, lesson: Lesson, sides: Sequence[Sequence[Lesson]]) -> Prompt:
        messages = [("system", self._system)]
        for others in sides:
            # Not of the same user, whose later history would tell how this event ended.
            other = next((each for each in others if each.user_id != lesson.user_id), None)
            if other is not None:
                messages += self._demonstration(other)
        messages.append(("user", _asked(lesson)))
        seed = derive(self._seed, "teacher", lesson.event_id)
        grammar = chain_grammar(lesson.facts, (lesson.level,))
        return Prompt(tuple(messages), grammar, seed=seed)

    def _demonstration(self, other: Lesson) -> list[tuple[str, str]]:
        random = random_generator(self._seed, "demonstration", other.event_id)
        answer = completion(compose(other.facts, other.level, random))
        return [("user", _asked(other)), ("assistant", answer)]

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
        if parsed is not None and parsed.level != lesson.level:
            return OTHER_LEVEL
        if parsed is None or part is None or not part.complete:
            return MALFORMED
        found = self._checker.check(parsed, lesson.facts)
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


def _asked(lesson: Lesson) -> str:
    """What the policy reads, then the level, and how each fact may be worded."""
    lines = [reason_prompt(lesson.facts).messages[-1][1], f"Level: {chain_words(lesson.level)}"]
    for handle, fact in lesson.facts.handles.items():
        named = [
            template.replace("{it}", "it")
            .replace("{title}", f'"{fact.value}"')
            .replace("{what}", in_words(fact))
            for template in clauses_of(fact)
        ]
        lines.append(f"{handle}: {'; '.join(named)}")
    return "\n".join(lines)
