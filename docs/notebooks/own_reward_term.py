"""Bring your own reward term: a reader of your own, and a term that the project does not have.

`marimo edit docs/notebooks/own_reward_term.py` opens it; `python` runs it.
"""

import marimo

app = marimo.App(app_title="Your own reward term")

with app.setup:
    import marimo as mo
    import numpy as np
    import polars as pl

    from curec_assets.explanation.composer import compose
    from curec_assets.explanation.facts import Fact, Facts
    from curec_assets.explanation.grounding import GroundingChecker
    from curec_assets.explanation.levels import VERDICTS
    from curec_assets.explanation.prompts import completion
    from curec_assets.policy.rewards import ComposedReward, PolicyEvent, weights
    from curec_assets.settings import load_profile


@app.cell
def _():
    mo.md("""
    # What a reason is paid for

    A reward is a sum of terms, each on its own scale (`curec_assets/policy/rewards.py`). Its
    readers are anything with the four methods of `Scorer`; here one that believes the verdict,
    and nothing else.
    """)
    return


@app.cell
def _():
    class Believer:
        """P(like) is what the verdict says: level 1 is 5 %, level 9 is 95 %."""

        def _probability(self, reasons):
            levels = [
                VERDICTS.index(each.verdict) + 1 if each.verdict in VERDICTS else 5
                for each in reasons
            ]
            return 0.05 + 0.9 * (np.array(levels) - 1) / 8

        def reader_gain(self, reasons, outcomes):
            p, y = self._probability(reasons), np.asarray(outcomes, dtype=float)
            return y * np.log(2 * p) + (1 - y) * np.log(2 * (1 - p))

        def gain(self, events, reasons, outcomes):
            return self.reader_gain(reasons, outcomes)

        def user_independent_gain(self, events, reasons, outcomes):
            return np.zeros(len(reasons))

        def reader_user_independent_gain(self, events, reasons):
            return np.zeros(len(reasons))

    return (Believer,)


@app.cell
def _(Believer):
    class WithRareFacts(ComposedReward):
        """One term more: the share of what is cited that few others could be told."""

        def terms(self, events, completions, finished):
            found = super().terms(events, completions, finished)
            rare = [
                np.mean([fact.kind in ("related", "attribute") for fact in event.facts.arguments])
                for event in events
            ]
            return {**found, "rare_facts": np.array(rare) * found["format"]}

    settings = load_profile("laptop").policy
    reward = WithRareFacts(Believer(), GroundingChecker(60), settings, wanted_words=40)
    paid = {**weights(settings), "rare_facts": 0.2}
    return paid, reward


@app.cell
def _(paid, reward):
    facts = Facts(
        "Fargo",
        ("crime",),
        (
            Fact("like_minded", 2, count=7, of=9, contribution=0.6),
            Fact("attribute", -1, value="crime", attribute="genre", contribution=-0.2),
        ),
    )
    event = PolicyEvent(
        event_id="e",
        liked=True,
        facts=facts,
        level=7,
        probability=0.72,
        user_id="u",
        item_id="i",
        history_item_ids=(),
        history_likes=(),
    )
    texts = {
        level: completion(compose(facts, level, np.random.default_rng(1))) for level in (2, 5, 7, 9)
    }
    found = reward.terms([event] * len(texts), list(texts.values()), [True] * len(texts))
    table = pl.DataFrame(
        {
            "level": list(texts),
            **{name: values for name, values in found.items()},
            "reward": sum(paid[name] * values for name, values in found.items()),
        }
    )
    table
    return (table,)


@app.cell
def _(table):
    best = table.sort("reward", descending=True)["level"][0]
    mo.md(f"The evidence believes 72 %: of these four, level **{best}** is paid best.")
    return


if __name__ == "__main__":
    app.run()
