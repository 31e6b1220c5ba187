# mypy: disable-error-code="no-untyped-def"
"""The explorer as a marimo app: `curec explore` serves it, `marimo edit` opens it as a notebook.

marimo, because its users are those of Polars and DuckDB: the page is a Python file, it runs only
what an answer changes, and its scripts come with it, so that it works without internet.
"""

import marimo

app = marimo.App(width="medium", app_title="CURec explorer")

with app.setup:
    import marimo as mo

    from curec_assets.explorer import pages
    from curec_assets.explorer.opened import opened


@app.cell
def _():
    stored = opened()
    return (stored,)


@app.cell
def _(stored):
    user = mo.ui.dropdown(stored.users, value=stored.users[0], searchable=True, label="User")
    title = mo.ui.dropdown(
        list(stored.titles), value=next(iter(stored.titles)), searchable=True, label="Item"
    )
    return title, user


@app.cell
def _(stored, user):
    history = stored.history(user.value)
    recommended = stored.recommended(user.value)
    met = dict(history.select("title", "item_id").unique(maintain_order=True).iter_rows())
    shown = dict(recommended.select("title", "item_id").iter_rows())
    why = mo.ui.dropdown({**shown, **met}, searchable=True, label="Why")
    left_out = mo.ui.multiselect(met, label="What if these had not been met")
    return history, left_out, recommended, why


@app.cell
def _(left_out, stored, user, why):
    if why.value is None:
        explained = pages.said("Choose an item to see what speaks for and against it.")
    else:
        now = stored.explained(user.value, why.value)
        supposed = None
        if left_out.value:
            supposed = stored.explained(user.value, why.value, left_out.value)
        explained = pages.explanation(now, supposed)
    return (explained,)


@app.cell
def _(explained, history, left_out, recommended, stored, user, why):
    people = mo.vstack(
        [
            user,
            pages.heading(f"{history.height} events"),
            pages.time_line(history),
            pages.heading("Recommended"),
            pages.recommendations(recommended),
            pages.heading("Why"),
            mo.hstack([why, left_out], justify="start"),
            explained,
            pages.heading("The note, as it was corrected"),
            pages.rows(stored.notes(user.value)),
        ]
    )
    return (people,)


@app.cell
def _(people, stored, title):
    mo.ui.tabs(
        {
            "People": people,
            "Items": mo.vstack([title, pages.item(stored, stored.titles[title.value])]),
            "Quality": mo.lazy(lambda: pages.quality(stored)),
            "Lineage": mo.lazy(lambda: pages.lineage(stored)),
        }
    )
    return


if __name__ == "__main__":
    app.run()
