"""A stage without Dagster: events to evidence to a calibrated probability, in plain Python.

`marimo edit docs/notebooks/stage_without_dagster.py` opens it; `python` runs it.
"""

import marimo

app = marimo.App(app_title="A stage without Dagster")

with app.setup:
    import altair as alt
    import marimo as mo
    import numpy as np
    import polars as pl

    from curec_assets.datasets.interactions import build_interactions
    from curec_assets.datasets.items import build_items
    from curec_assets.datasets.ledger import read_all
    from curec_assets.datasets.sources.toy import ToySource
    from curec_assets.datasets.splits import split_in_time
    from curec_assets.evaluation import metrics
    from curec_assets.evidence.crossfit import ForwardModels, time_blocks
    from curec_assets.evidence.numbers import EvidenceNumbers
    from curec_assets.settings import EvidenceSettings, SplitSettings


@app.cell
def _():
    mo.md("""
    # Evidence of any event, from strictly earlier ones

    Events of a synthetic source, split in time. Put your own `FilesSource` in the place of
    `ToySource`.
    """)
    return


@app.cell
def _():
    source = ToySource(seed=1)
    items = build_items(source.items())
    found = build_interactions(read_all(source), items["item_id"], liked_threshold=4)
    events = split_in_time(found.events, SplitSettings())
    events.group_by("split", maintain_order=True).agg(
        events=pl.len(), users=pl.col("user_id").n_unique(), liked=pl.col("liked").mean()
    )
    return events, items


@app.cell
def _(events, items):
    texts = np.random.default_rng(1).normal(size=(items.height, 16)).astype(np.float32)
    embeddings = items.select("item_id", embedding=pl.Series(texts, dtype=pl.Array(pl.Float32, 16)))
    settings = EvidenceSettings(max_trees=60)
    numbers = EvidenceNumbers(events, items, embeddings, settings, seed=1).read(events)
    blocks = time_blocks(events, settings.time_blocks)
    models = ForwardModels.fit(numbers, events.with_columns(block=blocks), settings, seed=1)
    scored = events.with_columns(probability=pl.Series(models.score(numbers, blocks)))
    return (scored,)


@app.cell
def _(scored):
    test = scored.filter(split="test")
    auc = metrics.auc(test["liked"].to_numpy(), test["probability"].to_numpy())
    bins = metrics.reliability(test["liked"].to_numpy(), test["probability"].to_numpy(), bins=5)
    chart = (
        alt.Chart(pl.DataFrame(bins))
        .mark_line(point=True)
        .encode(x="probability", y="liked", tooltip=["events"])
    )
    mo.vstack([mo.md(f"Test AUC of the evidence alone: **{auc:.3f}**"), chart])
    return


if __name__ == "__main__":
    app.run()
