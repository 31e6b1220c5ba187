"""What looks like an e-mail address, a phone number or a personal name, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.datasets.sources.personal import Suspicion, suspicion
from curec_assets.datasets.sources.toy import ToySource

FIRST = ["Ada", "José", "Zoë", "J.", "R.R.", "Jean-Luc", "Łukasz", "Νίκος", "ANN"]
LAST = ["Brook", "O'Neil", "van der Berg", "de la Cruz", "Müller", "Ng", "McDonald", "Smith Jr."]
NUMBERS = ["+1 415 555 0123", "(0)20 7946-0958", "030/1234567", "+4930123456", "555-0123"]
GENRES = ["action", "Drama", "Sci-Fi", "film noir"]

names = st.one_of(
    st.builds("{} {}".format, st.sampled_from(FIRST), st.sampled_from(LAST)),
    st.builds("{1}, {0}".format, st.sampled_from(FIRST), st.sampled_from(["Brook", "Müller"])),
)
ordinary = st.sampled_from(GENRES)


def kind(values: list[str]) -> str | None:
    found = suspicion([[value] for value in values])
    return found.kind if found else None


@given(st.emails(), st.sampled_from(["{}", "write to {} soon", "<{}>"]), st.lists(ordinary))
def test_one_address_among_many_is_enough(address: str, form: str, others: list[str]) -> None:
    assert kind([*others, form.format(address)]) == "an e-mail address"


@given(st.lists(st.sampled_from(NUMBERS), min_size=1), st.lists(ordinary, max_size=4))
def test_phone_numbers(numbers: list[str], others: list[str]) -> None:
    assert kind([*others, *numbers]) == "a phone number"


@given(st.lists(names, min_size=4, unique=True), st.lists(ordinary, max_size=4))
def test_personal_names(people: list[str], others: list[str]) -> None:
    assert kind([*others, *people]) == "a personal name"


@pytest.mark.parametrize(
    "values",
    [
        GENRES,
        ["Acme", "IKEA", "Procter & Gamble", "3M", "Ben & Jerry's", "L'Oréal"],
        ["2024-05-01", "1.5.2024", "1999-2003", "05/01/2024"],
        ["9.99", "1234567.89", "12000000", "4006381333931"],
        ["978-3-16-148410-0", "979 10 90636 07 1"],
        ["10-12", "100 ml", "42", "S/M"],
        ["@home", "5 @ 3"],
        [],
    ],
    ids=str,
)
def test_ordinary_values_are_left_alone(values: list[str]) -> None:
    assert kind(values) is None


def test_the_toy_people_are_found_and_the_toy_genres_are_not() -> None:
    attributes = ToySource(1).items()["attributes"].to_list()
    columns = {
        wanted: [[a["value"] for a in row if a["kind"] == wanted] for row in attributes]
        for wanted in ("genre", "director", "actor")
    }
    assert suspicion(columns["genre"]) is None
    assert suspicion(columns["director"]) == Suspicion("a personal name", 0, 6, 6)
    assert suspicion(columns["actor"]) == Suspicion("a personal name", 0, 12, 12)


def test_the_first_row_with_such_a_value_is_named() -> None:
    assert suspicion([["action"], [], ["drama", "a@b.org"], ["a@b.org"]]) == Suspicion(
        "an e-mail address", 2, 1, 3
    )
