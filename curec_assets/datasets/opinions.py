"""What a review praises and what it finds fault with, in single words.

A word is taken for an aspect of the item where an opinion stands beside it: "a great story", "the
ending was dull", "too many ads". Words of opinion are in a short list of our own, English only; a
negation nearby leaves the aspect out, and so does a review that says both of it. Only words in
small letters count, so that nobody's name is one. Nothing else of the text is kept.

To pair aspects with words of opinion is from Hu and Liu (Mining and summarizing customer reviews,
2004); the list, the patterns and the limits are ours.
"""

from functools import lru_cache

import polars as pl

PRAISED, BLAMED = "+", "-"
_LONGEST_TEXT = 5_000  # characters that are read
_MOST = 12  # words of one review
_AT_ONCE = 50_000  # texts: what is found of them on the way takes more room than they do
_GOOD = """
    amazing attractive awesome beautiful brilliant charming clever comfortable crisp cute delicious
    delightful durable elegant engaging enjoyable entertaining excellent exceptional exciting
    fabulous fantastic fascinating flawless funny gentle good gorgeous great helpful impressive
    incredible informative insightful inspiring intriguing lovely magnificent marvelous memorable
    moving nice outstanding perfect phenomenal pleasant powerful refreshing reliable remarkable
    rich satisfying smooth solid splendid stunning sturdy stylish superb superior tasty terrific
    touching useful vivid wonderful
"""
_BAD = """
    annoying awful bad bland boring broken cheap cheesy clumsy confusing crappy defective
    disappointing disgusting dreadful dull faulty flawed flimsy forgettable frustrating
    horrible inaccurate inferior irritating lame lousy mediocre messy misleading nasty outdated
    overpriced pathetic pointless poor predictable repetitive ridiculous rude shallow shoddy silly
    sloppy stale stupid terrible tedious ugly unbearable uncomfortable uninspired unpleasant
    unreliable useless weak worthless
"""
_NO_ASPECT = """
    addition alternative amount author bargain bit bits book books bunch buy case choice day days
    deal deals easy example experience fan fans favorite fit gift gifts girl guy idea ideas item
    items job just kid kids like look lot lots love man mix natural soft source tool
    morning movie movies news night number one ones option options part parts people person place
    product products purchase reason review reviews shape size stars start stuff taste thing things
    time times use value version way ways week woman work year years
    also new old big little long short real small young right whole nice looking smelling tasting
    sounding feeling making working made quality
"""
"""Nouns that stand beside opinions whatever is meant, and adjectives that come before a noun."""
_IS = "(?:is|are|was|were|looks?|tastes?|smells?|feels?|sounds?|seems?)"
_DEGREE = (
    "(?:so|very|really|quite|just|pretty|extremely|absolutely|simply|also|all|truly|too|rather)"
)
_NOT = "(?:not|never|no|nothing|without|hardly|isn't|aren't|wasn't|weren't|don't|doesn't|didn't)"
_ASPECT = "[a-z]{3,20}"


def opinions_of(texts: pl.Series) -> pl.Series:
    """Of each text the words that it praises (`+word`) and finds fault with (`-word`), sorted, with
    blanks between; null where there are none.
    """
    frame = texts.alias("text").to_frame()
    found = [_opinions(part) for part in frame.iter_slices(_AT_ONCE)]
    return pl.concat([pl.Series("opinions", [], pl.Utf8), *found])


def _opinions(texts: pl.DataFrame) -> pl.Series:
    plain = (
        pl.col("text")
        .str.head(_LONGEST_TEXT)
        .str.replace_all("’", "'", literal=True)
        .str.replace_all(r"<[^<>]*>", ". ")
    )
    before, after, amount = _patterns()
    found = (
        texts.select(
            pl.int_range(pl.len()).alias("row"),
            before=plain.str.extract_all(before),
            after=plain.str.extract_all(after),
            amount=plain.str.extract_all(amount),
        )
        .unpivot(index="row", variable_name="aspect", value_name="words")
        .explode("words")
        .drop_nulls("words")
        .with_columns(
            word=pl.when(pl.col("aspect") == "after")
            .then(pl.col("words").str.extract(rf"^({_ASPECT})\s"))
            .otherwise(pl.col("words").str.extract(rf"\s({_ASPECT})$")),
            sign=pl.when(
                pl.col("aspect") != "amount", pl.col("words").str.contains(_one_of(_GOOD.split()))
            )
            .then(pl.lit(PRAISED))
            .otherwise(pl.lit(BLAMED)),
        )
        .filter(
            (pl.col("aspect") == "amount") | ~pl.col("words").str.contains(rf"(?i)\b{_NOT}\b"),
            ~pl.col("word").is_in(sorted(_no_aspects())),
            ~pl.col("word").str.ends_with("ly"),
        )
        .unique(["row", "word", "sign"])
        .filter(pl.len().over("row", "word") == 1)
        .sort("row", "word")
        .group_by("row", maintain_order=True)
        .agg(opinions=pl.concat_str("sign", "word").head(_MOST))
        .select("row", pl.col("opinions").list.join(" "))
    )
    rows = pl.DataFrame({"row": pl.int_range(texts.height, eager=True)})
    return rows.join(found, on="row", how="left", maintain_order="left")["opinions"]


@lru_cache(maxsize=1)
def _patterns() -> tuple[str, str, str]:
    """An opinion before its aspect, and behind it, with what negates it, to be left out then; and
    too much or too little of something.
    """
    opinion = _one_of([*_GOOD.split(), *_BAD.split()])
    not_it = rf"(?i:\b{_NOT}\s+(?:\w+\s+){{0,2}})?"
    return (
        rf"{not_it}{opinion}\s+{_ASPECT}\b",
        rf"\b{_ASPECT}\s+(?:{_IS}|{_NOT})\s+(?:(?:{_NOT}|{_DEGREE})\s+){{0,2}}{opinion}",
        rf"\b(?i:too many|too much|not enough|lack of|lacks|wish there were more)\s+{_ASPECT}\b",
    )


def _one_of(words: list[str]) -> str:
    return rf"\b(?i:{'|'.join(words)})\b"


@lru_cache(maxsize=1)
def _no_aspects() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    listed = f"{_GOOD} {_BAD} {_NO_ASPECT}".split()
    return frozenset(ENGLISH_STOP_WORDS).union(listed)
