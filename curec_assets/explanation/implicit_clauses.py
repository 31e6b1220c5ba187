"""How facts are worded where feedback is implicit: nobody rated or disliked anything.

The same templates as in `clauses`.
"""

from collections.abc import Mapping

ALIKE = (
    "(people like you|people with your taste|people who share your taste|others with your taste)"
)
LATELY = "(lately|of late)"


def _taken_by(who: str) -> dict[int, tuple[str, ...]]:
    """How much a group of people takes to the item, against everybody, by strength."""
    return {
        strength: (
            f"{who} go for {{it}} {size}{word} than most people do",
            f"{who} go for {{it}} {size}{often} than the rest",
        )
        for strength, size, word, often in (
            (3, "(far|much) ", "more", "more often"),
            (2, "", "more", "more often"),
            (1, "(a little|slightly) ", "more", "more often"),
            (-1, "(a little|slightly) ", "less", "less often"),
            (-2, "", "less", "less often"),
            (-3, "(far|much) ", "less", "less often"),
        )
    }


IMPLICIT_CLAUSES: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "demand": {
        3: (
            "far more people go for {it} than one would expect",
            "{it} is very much sought after",
        ),
        2: (
            "more people go for {it} than one would expect",
            "{it} is (much|widely) sought after",
        ),
        1: (
            "(a few|slightly) more people go for {it} than one would expect",
            "{it} is (a little|slightly) more sought after than most",
        ),
        -1: (
            "slightly fewer people go for {it} than one would expect",
            "{it} is (a little|slightly) less sought after than most",
        ),
        -2: (
            "fewer people go for {it} than one would expect",
            "{it} is not (much|widely) sought after",
        ),
        -3: (
            "far fewer people go for {it} than one would expect",
            "{it} is hardly sought after",
        ),
    },
    "demand_lately": {
        3: (
            f"{{it}} has been very much in demand {LATELY}",
            f"far more people than usual have gone for {{it}} {LATELY}",
        ),
        2: (
            f"{{it}} has been much in demand {LATELY}",
            f"more people than usual have gone for {{it}} {LATELY}",
        ),
        1: (
            f"{{it}} has been (a little|slightly) more in demand {LATELY}",
            f"slightly more people than usual have gone for {{it}} {LATELY}",
        ),
        -1: (
            f"{{it}} has been (a little|slightly) less in demand {LATELY}",
            f"slightly fewer people than usual have gone for {{it}} {LATELY}",
        ),
        -2: (
            f"{{it}} has not been much in demand {LATELY}",
            f"fewer people than usual have gone for {{it}} {LATELY}",
        ),
        -3: (
            f"{{it}} has hardly been in demand {LATELY}",
            f"far fewer people than usual have gone for {{it}} {LATELY}",
        ),
    },
    "choosers": _taken_by(ALIKE),
    "related chosen": _taken_by("(people|those|others) who (chose|went for) {title} as you did"),
    "untried": {
        0: (
            "hardly anyone has chosen {it} (yet|so far)",
            "(very |)few people have chosen {it} (yet|so far)",
            "{it} is still (almost|nearly) unknown",
        )
    },
    "unseen": {
        0: (
            "(very |)little is known of your taste (yet|so far)",
            "you have chosen hardly anything (yet|so far)",
            "your taste is still (almost|nearly) unknown",
        )
    },
}
"""Kind → strength → clauses."""
