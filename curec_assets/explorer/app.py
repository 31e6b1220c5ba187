# mypy: disable-error-code="no-untyped-def"
"""The explorer as a marimo app: `curec explore` serves it, `marimo edit` opens it as a notebook.

marimo, because its users are those of Polars and DuckDB: the page is a Python file, it runs only
what an answer changes, and its scripts come with it, so that it works without internet.
"""

import marimo

app = marimo.App(width="medium", app_title="CURec explorer")

with app.setup:
    import marimo as mo

    from curec_assets.explorer import comparing, pages
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
            pages.time_line(history, rated=stored.rated),
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
def _(stored):
    names = list(stored.writers().names())
    writer_a = mo.ui.dropdown(names, value=names[0], label="A")
    writer_b = mo.ui.dropdown(names, value=names[-1], label="B")
    blind = mo.ui.switch(label="Vote, without names")
    return blind, writer_a, writer_b


@app.cell
def _(blind, stored, writer_a, writer_b):
    ballot = comparing.ballot_of(stored, writer_a.value, writer_b.value, wanted=blind.value)
    answered, set_answered = mo.state(0)
    return answered, ballot, set_answered


@app.cell
def _(ballot, set_answered):
    answers = comparing.buttons(ballot, set_answered)
    return (answers,)


@app.cell
def _(answered, answers, ballot, blind, stored, writer_a, writer_b):
    if blind.value:
        answered()  # so that each answer brings the next question
        asked = comparing.question(ballot, answers)
    else:
        asked = mo.lazy(lambda: comparing.overview(stored, writer_a.value, writer_b.value))
    compare = mo.vstack([mo.hstack([writer_a, writer_b, blind], justify="start"), asked])
    return (compare,)


@app.cell
def _():
    opened_tab: dict[str, str] = {}  # a page that is shown anew is shown where it was
    return (opened_tab,)


@app.cell
def _(compare, opened_tab, people, stored, title):
    mo.ui.tabs(
        {
            "People": people,
            "Items": mo.vstack([title, pages.item(stored, stored.titles[title.value])]),
            "Quality": mo.lazy(lambda: pages.quality(stored)),
            "Compare": compare,
            "Lineage": mo.lazy(lambda: pages.lineage(stored)),
        },
        value=opened_tab.get("name"),
        on_change=lambda name: opened_tab.update(name=name),
    )
    return


if __name__ == "__main__":
    app.run()
