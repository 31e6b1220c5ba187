"""Is a why sentence well formed, and is everything that it claims an offered and cited fact?

The check reads a sentence as clauses joined by connectors, both of which it knows word by word
(`clauses`, `frames`), in any combination. A clause is a claim: of a kind, with a sign, and about a
title in its role or an attribute. What is neither a clause nor a connector is unsupported: unknown
names, digits, addresses, orders to the reader, copied prompts. What a lexical check cannot see is
whether a sentence makes sense.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from curec_assets.evidence.levels import TOSS_UP
from curec_assets.explanation.facts import Facts
from curec_assets.explanation.frames import CONTRASTS, SUBORDINATE, connectors
from curec_assets.explanation.prompts import ParsedReason
from curec_assets.explanation.reading import NOTHING, Reading, Token, plain, read, tokens_of


@dataclass(frozen=True)
class Grounding:
    """The outcome of the check."""

    well_formed: bool
    unsupported: tuple[str, ...]
    """Each claim or wording that the facts and the chain do not support, in words."""

    @property
    def accepted(self) -> bool:
        """Well formed, and nothing unsupported."""
        return self.well_formed and not self.unsupported


class GroundingChecker:
    """Checks why sentences against facts and chains."""

    def __init__(self, max_words: int) -> None:
        """`max_words`: a longer sentence is not well formed; a title counts as one word."""
        self._max_words = max_words

    def check(self, parsed: ParsedReason, facts: Facts) -> Grounding:
        """Compare the why sentence with the facts and with what the chain cites."""
        tokens = tokens_of(parsed.why, facts)
        reading = read(tokens, facts)
        claims_errors, repeated = _claim_errors(reading, parsed.cited, facts)
        unsupported = [*claims_errors, *_wording_errors(reading)]
        if not reading.claims:
            unsupported.append("no claim")
        title = plain(facts.title)
        named = sum(token.title == title for token in tokens)
        namesakes = sum(plain(fact.value) == title for fact in facts.arguments)
        words = sum(token.is_word or token.is_name for token in tokens)
        well_formed = (
            bool(reading.claims)
            and not repeated
            and words <= self._max_words
            and parsed.why[-1] in ".!?"
            and "\n" not in parsed.why
            and named <= 1 + namesakes
            and _capitals(tokens)
            and _whole_sentences(reading)
        )
        return Grounding(well_formed, tuple(dict.fromkeys(unsupported)))


def disagreement(parsed: ParsedReason, facts: Facts) -> float:
    """Disagreement of a level with the arguments that are cited for it: 0 (none) to 1.

    The cited facts' balance, -1 (all against) to 1 (all for), by strength. A level that is no
    toss-up disagrees as far as the balance leans to the other side, the more the further it is from
    even; a toss-up disagrees as far as one side outweighs the other by more than a half. 0 where
    the facts offer nothing for the level's own side.
    """
    handles = facts.handles
    cited = [handles[handle].strength for handle in parsed.cited if handle in handles]
    weight = sum(map(abs, cited))
    if not weight:
        return 0.0
    balance = sum(cited) / weight
    offered = {(fact.strength > 0) - (fact.strength < 0) for fact in facts.arguments}
    if parsed.level == TOSS_UP:
        return max(0.0, 2.0 * abs(balance) - 1.0) if {1, -1} <= offered else 0.0
    side = 1 if parsed.level > TOSS_UP else -1
    if side not in offered:
        return 0.0
    distance = abs(parsed.level - TOSS_UP) / (TOSS_UP - 1)
    return max(0.0, -side * balance) * (1.0 + distance) / 2.0


def _claim_errors(reading: Reading, cited: Sequence[str], facts: Facts) -> tuple[list[str], bool]:
    """What is claimed without being offered and cited, and cited without being argued.

    Also whether something is claimed twice.
    """
    handles = facts.handles
    open_handles = [handle for handle in cited if handle in handles]
    errors = [f"{handle} is not offered" for handle in cited if handle not in handles]
    argued: list[str] = []
    repeated = False
    for claim in reading.claims:
        if claim.meanings[0].kind == NOTHING:
            if any(fact.strength for fact in facts.arguments):
                errors.append(f"{claim.text!r}, though there are facts")
            continue
        meant = [handle for handle in handles if claim.says(handles[handle])]
        fresh = [handle for handle in meant if handle in open_handles and handle not in argued]
        if fresh:
            argued.append(fresh[0])
        elif any(handle in argued for handle in meant):
            repeated = True
        elif meant:
            errors.append(f"{claim.text!r} is not cited")
        else:
            errors.append(f"{claim.text!r} is no fact")
    errors += [f"{handle} is not argued" for handle in open_handles if handle not in argued]
    nothing = sum(claim.meanings[0].kind == NOTHING for claim in reading.claims)
    return errors, repeated or nothing > 1


def _wording_errors(reading: Reading) -> Iterable[str]:
    last = len(reading.claims)
    for place, tokens in enumerate(reading.between):
        joined = " ".join(token.text for token in tokens)
        parts = _connectors_of([token.text.lower() for token in tokens if token.is_word])
        marks = [token for token in tokens if not token.is_word]
        if parts is None or any(mark.text not in ",;:.!?" for mark in marks) or _doubled(tokens):
            yield f"wording {joined!r}"
        elif 0 < place < last and any(part in CONTRASTS for part in parts):
            before, after = reading.claims[place - 1], reading.claims[place]
            if before.sign * after.sign > 0:
                yield f"{joined!r} contrasts what agrees"


def _connectors_of(words: Sequence[str]) -> tuple[str, ...] | None:
    """One or two connectors that make up `words`; None when they do not."""
    known = connectors()
    whole = " ".join(words)
    if whole in known:
        return (whole,)
    for cut in range(1, len(words)):
        first, second = " ".join(words[:cut]), " ".join(words[cut:])
        if first in known and second in known:
            return first, second
    return None


def _doubled(tokens: Sequence[Token]) -> bool:
    return any(not one.is_word and not other.is_word for one, other in pairwise(tokens))


def _capitals(tokens: Sequence[Token]) -> bool:
    """A capital begins every sentence, and stands nowhere else."""
    begins = True
    for token in tokens:
        if token.is_word and (
            token.text[0].isupper() != begins or token.text[1:] != token.text[1:].lower()
        ):
            return False
        begins = token.ends
    return True


def _whole_sentences(reading: Reading) -> bool:
    """No sentence is a mere subordinate clause."""
    closing = [any(token.ends for token in tokens) for tokens in reading.between]
    for place, tokens in enumerate(reading.between[:-1]):
        starts = place == 0 or closing[place]
        ends = reading.between[place + 1]
        words = " ".join(token.text.lower() for token in tokens if token.is_word)
        trailing = any(token.is_word for token in ends)
        if starts and words in SUBORDINATE and closing[place + 1] and not trailing:
            return False
    return True
