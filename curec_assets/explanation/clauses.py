"""How facts are worded: for every kind, sign and strength, the clauses that say it.

A clause is a template (`templates`). `{it}` stands for the item, `{title}` for the user's item in
quotation marks, `{what}` for an attribute in words. The composer draws from the clauses and the
grounding check recognises them, so both mean the same by a claim.

A contribution says that something raises or lowers the chance of a like, not that a majority liked
anything: so wordings compare with what is usual wherever a plain "mostly" could be false, and say
"mostly" only of a fact whose numbers do.
"""

from collections.abc import Mapping, Sequence

from curec_assets.explanation.facts import Fact
from curec_assets.explanation.implicit_clauses import ALIKE, IMPLICIT_CLAUSES, LATELY

_LIKED = "(people|those|others) who (liked|enjoyed) {title} as you did"
_DISLIKED = "(people|those|others) who disliked {title} as you did"


def _made_of_it(who: str) -> dict[int, tuple[str, ...]]:
    """What a group of people made of the item, against everybody, by strength."""
    return {
        3: (
            f"{who} thought (far|much) more of {{it}} than most people did",
            f"{who} took to {{it}} far more than the rest",
            f"{{it}} went down (far|much) better than usual with {who}",
        ),
        2: (
            f"{who} thought more of {{it}} than most people did",
            f"{who} took to {{it}} more than the rest",
            f"{{it}} went down better than usual with {who}",
        ),
        1: (
            f"{who} thought (a little|slightly) more of {{it}} than most people did",
            f"{who} were (a little|slightly) kinder to {{it}} than the rest",
            f"{{it}} did (a little|slightly) better than usual with {who}",
        ),
        -1: (
            f"{who} thought (a little|slightly) less of {{it}} than most people did",
            f"{who} were (a little|slightly) harder on {{it}} than the rest",
            f"{{it}} did (a little|slightly) worse than usual with {who}",
        ),
        -2: (
            f"{who} thought less of {{it}} than most people did",
            f"{who} were harder on {{it}} than the rest",
            f"{{it}} went down worse than usual with {who}",
        ),
        -3: (
            f"{who} thought (far|much) less of {{it}} than most people did",
            f"{who} were (far|much) harder on {{it}} than the rest",
            f"{{it}} went down (far|much) worse than usual with {who}",
        ),
    }


_OF_RATINGS: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "crowd": {
        3: (
            "the great majority of those who rated {it} liked it",
            "{it} is among the best liked of all",
            "people rate {it} very highly",
        ),
        2: (
            "most people who rated {it} liked it",
            "{it} is (well|widely) liked",
            "people (in general |)rate {it} highly",
        ),
        1: (
            "people rate {it} (a little|slightly) above average",
            "{it} is (a little|slightly) better liked than most",
            "{it} has a fairly good reputation",
        ),
        -1: (
            "people rate {it} (a little|slightly) below average",
            "{it} is (a little|slightly) less liked than most",
            "{it} has a rather mixed reputation",
        ),
        -2: (
            "many who rated {it} did not like it",
            "{it} is not (well|widely) liked",
            "people (in general |)rate {it} below average",
        ),
        -3: (
            "fewer than half of those who rated {it} liked it",
            "{it} is among the least liked of all",
            "people rate {it} very poorly",
        ),
    },
    "trend": {
        3: (
            f"{{it}} has been very well received {LATELY}",
            "recent verdicts on {it} are very good",
        ),
        2: (
            f"{{it}} has been well received {LATELY}",
            f"{{it}} has been doing (rather |)well {LATELY}",
            "recent verdicts on {it} are good",
        ),
        1: (
            f"{{it}} has been doing (a little|slightly) better {LATELY}",
            "recent verdicts on {it} are (a little|slightly) better than usual",
        ),
        -1: (
            f"{{it}} has been doing (a little|slightly) worse {LATELY}",
            "recent verdicts on {it} are (a little|slightly) worse than usual",
        ),
        -2: (
            f"{{it}} has been badly received {LATELY}",
            f"{{it}} has been doing (rather |)badly {LATELY}",
            "recent verdicts on {it} are poor",
        ),
        -3: (
            f"{{it}} has been very badly received {LATELY}",
            "recent verdicts on {it} are very poor",
        ),
    },
    "like_minded": _made_of_it(ALIKE),
    "related liked": _made_of_it(_LIKED),
    "related disliked": _made_of_it(_DISLIKED),
    "related": {
        3: ("how you rated related things speaks strongly for {it}",),
        2: ("how you rated related things speaks for {it}",),
        1: ("how you rated related things speaks (a little|slightly) for {it}",),
        -1: ("how you rated related things speaks (a little|slightly) against {it}",),
        -2: ("how you rated related things speaks against {it}",),
        -3: ("how you rated related things speaks strongly against {it}",),
    },
    "attribute": {
        3: (
            "you (very much|greatly) enjoy {what}",
            "you are very fond of {what}",
            "you have a great liking for {what}",
        ),
        2: (
            "you have often (liked|enjoyed) {what}",
            "you tend to (like|enjoy) {what}",
            "you are fond of {what}",
        ),
        1: (
            "you (like|enjoy) {what} (a little|slightly) more than most",
            "you are (quite|fairly) open to {what}",
            "you have a slight liking for {what}",
        ),
        -1: (
            "you (like|enjoy) {what} (a little|slightly) less than most",
            "you are not (all that|particularly) keen on {what}",
            "you are (a little|slightly) wary of {what}",
        ),
        -2: (
            "you seldom (like|enjoy) {what}",
            "you have (seldom|rarely) (liked|enjoyed) {what}",
            "you are not keen on {what}",
        ),
        -3: (
            "you have often been let down by {what}",
            "you are not at all keen on {what}",
            "you have a great dislike of {what}",
        ),
    },
    "reviews": {
        3: (
            "reviews of {it} speak very highly of {what}",
            "reviews of {it} are full of praise for {what}",
        ),
        2: (
            "reviews of {it} speak (well|highly) of {what}",
            "reviews of {it} praise {what}",
        ),
        1: (
            "reviews of {it} speak (quite|fairly) well of {what}",
            "reviews of {it} have (some|a little) praise for {what}",
        ),
        -1: (
            "reviews of {it} find (some|a little) fault with {what}",
            "reviews of {it} are (a little|slightly) cool about {what}",
        ),
        -2: (
            "reviews of {it} find fault with {what}",
            "reviews of {it} complain of {what}",
        ),
        -3: (
            "reviews of {it} find a great deal of fault with {what}",
            "reviews of {it} complain (bitterly|loudly) of {what}",
        ),
    },
    "taste": {
        3: (
            "{it} is very close to what you like",
            "{it} fits your taste very well",
            "{it} is very much the kind of thing you like",
        ),
        2: (
            "{it} is close to what you like",
            "{it} fits your taste (well|)",
            "{it} is the kind of thing you like",
        ),
        1: (
            "{it} is fairly close to what you like",
            "{it} fits your taste fairly well",
            "{it} is not far from what you like",
        ),
        -1: (
            "{it} is not (quite|exactly) what you usually like",
            "{it} does not fit your taste (so|that) well",
            "{it} is a little way from what you like",
        ),
        -2: (
            "{it} is not the kind of thing you like",
            "{it} does not fit your taste",
            "{it} is (rather |)unlike what you like",
        ),
        -3: (
            "{it} is (very far|a long way) from what you like",
            "{it} does not fit your taste at all",
            "{it} is not at all the kind of thing you like",
        ),
    },
    "habit": {
        3: ("you are very easy to please", "you like most of what you try"),
        2: ("you are easy to please", "you like more things than most people do"),
        1: (
            "you are (a little|slightly) easier to please than most",
            "you are (a little|slightly) more generous than most",
        ),
        -1: (
            "you are (a little|slightly) harder to please than most",
            "you are (a little|slightly) stricter than most",
        ),
        -2: ("you are hard to please", "you like fewer things than most people do"),
        -3: ("you are very hard to please", "you like little of what you try"),
    },
    "lately": {
        3: (
            f"{LATELY} you have been very generous",
            f"you have been very easy to please {LATELY}",
        ),
        2: (
            f"{LATELY} you have been generous",
            f"you have been easy to please {LATELY}",
            f"you have liked a good deal {LATELY}",
        ),
        1: (
            f"{LATELY} you have been (a little|slightly) more generous than usual",
            f"you have been (a little|slightly) easier to please {LATELY}",
        ),
        -1: (
            f"{LATELY} you have been (a little|slightly) stricter than usual",
            f"you have been (a little|slightly) harder to please {LATELY}",
        ),
        -2: (
            f"{LATELY} you have been strict",
            f"you have been hard to please {LATELY}",
            f"you have not liked much {LATELY}",
        ),
        -3: (
            f"{LATELY} you have been very strict",
            f"you have been very hard to please {LATELY}",
        ),
    },
    "new_item": {
        0: (
            "hardly anyone has rated {it} (yet|so far)",
            "(very |)few people have rated {it} (yet|so far)",
            "{it} is still (almost|nearly) unknown",
        )
    },
    "new_user": {
        0: (
            "(very |)little is known of your taste (yet|so far)",
            "you have rated hardly anything (yet|so far)",
            "your taste is still (almost|nearly) unknown",
        )
    },
}
CLAUSES: Mapping[str, Mapping[int, tuple[str, ...]]] = {**_OF_RATINGS, **IMPLICIT_CLAUSES}
"""Kind → strength → clauses. Kind `related` comes in four: by what the user made of the item that
it names, whether that was said or is implicit, and where it names none."""

MOSTLY: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    kind: {
        1: (f"{who} mostly liked {{it}}", f"{who} tended to (like|enjoy) {{it}}"),
        -1: (f"{who} mostly disliked {{it}}", f"{who} tended not to (like|enjoy) {{it}}"),
    }
    for kind, who in (
        ("like_minded", ALIKE),
        ("related liked", _LIKED),
        ("related disliked", _DISLIKED),
    )
}
"""Kind → sign → clauses that claim a majority."""
_ENOUGH = 3  # people of whom a majority is claimed
_CLEAR = 0.6  # its share

NOTHING_KNOWN = (
    "little is known that speaks for or against {it}",
    "nothing in particular speaks for or against {it}",
    "there is (very |)little to go by with {it}",
    "nothing that is known speaks clearly for or against {it}",
)
"""What is said where no fact speaks for or against the item."""


def clause_kind(fact: Fact) -> str:
    """The key of a fact in `CLAUSES`."""
    if fact.kind == "related" and fact.value:
        if fact.liked is None:
            return "related chosen"
        return "related liked" if fact.liked else "related disliked"
    return fact.kind


def majority(fact: Fact) -> int:
    """1 when a clear majority of those behind a fact liked the item, -1 when they did not, else 0.

    The fact's numbers decide.
    """
    if fact.count is None or fact.of is None or fact.of < _ENOUGH:
        return 0
    share = fact.count / fact.of
    return (share >= _CLEAR) - (share <= 1.0 - _CLEAR)


def clauses_of(fact: Fact) -> Sequence[str]:
    """The clauses that may word `fact`."""
    kind = clause_kind(fact)
    plain = CLAUSES[kind][fact.strength]
    sign = majority(fact)
    return (*plain, *MOSTLY.get(kind, {}).get(sign, ())) if sign * fact.strength > 0 else plain
