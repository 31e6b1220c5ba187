"""Read the ladder: the figures of `make benchmark`, with their intervals.

`marimo edit docs/notebooks/read_the_ladder.py` opens it; `python` runs it.
"""

import marimo

app = marimo.App(app_title="The ladder")

with app.setup:
    from pathlib import Path

    import altair as alt
    import marimo as mo
    import polars as pl

    FIGURES = Path(__file__).parents[1] / "figures" / "benchmark.json"


@app.cell
def _():
    figures = pl.read_json(FIGURES, infer_schema_length=None)
    mo.md(f"# {figures.height} figures, of {figures['date'].min()} to {figures['date'].max()}")
    return (figures,)


@app.cell
def _(figures):
    kinds = figures["name"].str.extract(r"^([^/]+)/").drop_nulls().unique().sort().to_list()
    kind = mo.ui.dropdown(kinds, value="auc", label="Measure")
    kind
    return (kind,)


@app.cell
def _(figures, kind):
    shown = figures.filter(pl.col("name").str.starts_with(f"{kind.value}/"))
    base = alt.Chart(shown).encode(y=alt.Y("name:N", sort=None, title=None))
    interval = base.mark_rule().encode(x=alt.X("low:Q", scale=alt.Scale(zero=False)), x2="high:Q")
    point = base.mark_point(filled=True).encode(x="value:Q", color="holds:N", tooltip=["target"])
    (interval + point).properties(width=500)
    return


@app.cell
def _(figures):
    missed = figures.filter(~pl.col("holds")).select("name", "value", "low", "high", "target")
    mo.vstack([mo.md(f"**{missed.height} figures miss their target:**"), missed])
    return


if __name__ == "__main__":
    app.run()
