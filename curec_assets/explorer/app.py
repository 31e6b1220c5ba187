# mypy: disable-error-code="no-untyped-def"
"""The explorer as a marimo app: `curec explore` serves it, `marimo edit` opens it as a notebook.

marimo, because its users are those of Polars and DuckDB: the page is a Python file, it runs only
what an answer changes, and its scripts come with it, so that it works without internet.
"""

import marimo

app = marimo.App(width="medium", app_title="CURec explorer")

with app.setup:
    import random
    from contextlib import nullcontext

    import marimo as mo

    from curec_assets.explorer import comparing, pages
    from curec_assets.explorer.opened import dagster_pages, opened
    from curec_assets.explorer.quality import quality
    from curec_assets.explorer.time_line import time_line
    from resources.errors import CurecError


@app.cell
def _():
    stored = opened()
    return (stored,)


@app.cell
def _(stored):
    drawn, draw = mo.state(stored.users[0])
    anybody = mo.ui.button(label="Anybody", on_change=lambda _: draw(random.choice(stored.users)))
    return anybody, drawn


@app.cell
def _(drawn, stored):
    user = mo.ui.dropdown(stored.users, value=drawn(), searchable=True, label="User")
    return (user,)


@app.cell
def _(stored):
    title = mo.ui.dropdown(
        list(stored.titles), value=next(iter(stored.titles)), searchable=True, label="Item"
    )
    return (title,)


@app.cell
def _(stored, user):
    history = stored.history(user.value)
    recommended = stored.recommended(user.value)
    met = dict(history.select("title", "item_id").unique(maintain_order=True).iter_rows())
    shown = dict(recommended.select("title", "item_id").iter_rows())
    why = mo.ui.dropdown({**shown, **met}, searchable=True, label="Why")
    left_out = mo.ui.multiselect(met, label="What if these had not been met")
    write = mo.ui.run_button(label="Let the policy write it", tooltip="Loads the model first")
    return history, left_out, recommended, why, write


@app.cell
def _(left_out, stored, user, why, write):
    explained = pages.said("Choose an item to see what speaks for and against it.")
    if why.value is not None:
        waiting = mo.status.spinner("The policy is loaded, and writes ...", remove_on_exit=True)
        try:
            with waiting if write.value else nullcontext():
                explained = pages.explanation(
                    stored.explained(user.value, why.value, left_out.value, by_policy=write.value)
                )
        except CurecError as error:
            explained = pages.said(str(error))
    return (explained,)


@app.cell
def _(anybody, explained, history, left_out, recommended, stored, user, why, write):
    people = mo.vstack(
        [
            mo.hstack([user, anybody], justify="start"),
            pages.heading(f"{history.height} events"),
            time_line(history, rated=stored.rated),
            pages.heading("Recommended"),
            pages.recommendations(recommended),
            mo.accordion(
                {
                    "What made them": mo.lazy(
                        lambda: pages.made_by(stored, user.value, dagster_pages())
                    )
                }
            ),
            pages.heading("Why"),
            mo.hstack([why, left_out, write], justify="start"),
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
            "Items": mo.vstack(
                [title, mo.lazy(lambda: pages.item(stored, stored.titles[title.value]))]
            ),
            "Quality": mo.lazy(lambda: quality(stored)),
            "Compare": compare,
            "Lineage": mo.lazy(lambda: pages.lineage(stored, dagster_pages())),
        },
        value=opened_tab.get("name"),
        on_change=lambda name: opened_tab.update(name=name),
    )
    return


if __name__ == "__main__":
    app.run()
