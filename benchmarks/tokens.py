"""What a reason costs in tokens, measured by writing some: the inputs of `million_reasons`.

`make bench-speed-tokens`. Two sets of prompts: the events of the walk that the home stored, with
their notes (what the laptop profile asked), and many candidates of few users. Sharing is counted on
the tokens themselves: it is a property of the prompts, and what an engine's prefix cache can save
at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from benchmarks.harness import Record, Spread, parser
from benchmarks.home import Home
from benchmarks.tables import publish
from benchmarks.token_names import (
    ATTEMPTS,
    CANDIDATES,
    COMMAND,
    COMPLETION,
    FREE,
    PROMPT,
    SHARED,
    WALK,
)
from benchmarks.writer import candidates
from curec_assets.explanation.facts import Catalogue, facts_by_event
from curec_assets.explanation.prompts import reason_prompt
from resources.compute.accelerator import Accelerator
from resources.generation.protocol import Completion, Prompt, Sampling, TextGenerator
from resources.generation.transformers.generator import TransformersFactory

_BLOCK = 16  # tokens of a block of vLLM's prefix cache on a GPU


def main() -> None:
    """Measure and publish."""
    chosen = parser(__doc__).parse_args()
    accelerator = Accelerator(device="auto", dtype="auto", threads=0)
    accelerator.resolve()
    home = Home.open(chosen.home)
    options = home.profile.generator_options()
    opened = TransformersFactory(accelerator=accelerator).open(
        home.base, home.adapter("reason_policy"), options
    )
    with opened as generator:
        records = [
            *_records(WALK, _walked(home), generator, home),
            *_records(CANDIDATES, _by_user(candidates(home, users=2)), generator, home),
        ]
    attempts = home.warehouse.read("recommendation_reasons", ["attempts"])["attempts"].to_list()
    mean = Spread(sum(attempts) / len(attempts), min(attempts), max(attempts))
    publish([*records, Record.of(ATTEMPTS, mean, "", COMMAND)], chosen.figures)


@dataclass(frozen=True)
class _Asked:
    user: str
    prompt: Prompt


def _walked(home: Home) -> list[_Asked]:
    reasons = home.warehouse.read("recommendation_reasons").sort("user_id", "timestamp")
    facts = facts_by_event(
        reasons,
        home.warehouse.read("event_evidence"),
        Catalogue(home.warehouse.read("items")),
        home.profile.explanation,
    )
    return [
        _Asked(row["user_id"], reason_prompt(facts[row["event_id"]].with_note(row["note"])))
        for row in reasons.iter_rows(named=True)
    ]


def _by_user(prompts: Sequence[Prompt]) -> list[_Asked]:
    """Prompts of `candidates`: a user's are those whose lines before the item are the same."""
    return [_Asked(prompt.messages[-1][1].split("\nItem: ", 1)[0], prompt) for prompt in prompts]


def _records(
    name: str, asked: Sequence[_Asked], generator: TextGenerator, home: Home
) -> list[Record]:
    limit = home.profile.language_model.max_new_tokens
    written = generator.write([one.prompt for one in asked], Sampling(limit))
    groups = [
        [done.prompt_ids for _, done in group]
        for _, group in groupby(zip(asked, written, strict=True), key=lambda pair: pair[0].user)
    ]
    total = sum(len(done.prompt_ids) for done in written)
    blocks = [
        tuple(ids[at : at + _BLOCK] for at in range(0, len(ids) - _BLOCK + 1, _BLOCK))
        for done in written
        for ids in [done.prompt_ids]
    ]

    def record(what: str, values: Sequence[float], unit: str = "tokens") -> Record:
        mean = Spread(sum(values) / len(values), min(values), max(values))
        return Record.of(f"{name}: {what}", mean, unit, COMMAND)

    return [
        record(PROMPT, [len(done.prompt_ids) for done in written]),
        record(SHARED, [_common(group) for group in groups for _ in group]),
        record(
            "prompt tokens that another prompt before it began with",
            [_repeated([done.prompt_ids for done in written]) / total],
            "share",
        ),
        record(
            f"the same in whole blocks of {_BLOCK}", [_BLOCK * _repeated(blocks) / total], "share"
        ),
        record(COMPLETION, [len(done.token_ids) for done in written]),
        record(FREE, [_free(done) for done in written]),
    ]


def _free(done: Completion) -> int:
    return len(done.constrained) - sum(done.constrained)


def _common(rows: Sequence[Sequence[object]]) -> int:
    """Length of the beginning that all rows have in common."""
    shortest = min(map(len, rows))
    return next((at for at in range(shortest) if len({row[at] for row in rows}) > 1), shortest)


def _repeated(rows: Sequence[Sequence[object]]) -> int:
    """Elements, over all rows, that stand at the end of a beginning seen in a row before."""
    seen = {tuple(row[: at + 1]) for row in rows for at in range(len(row))}
    return sum(map(len, rows)) - len(seen)


if __name__ == "__main__":
    main()
