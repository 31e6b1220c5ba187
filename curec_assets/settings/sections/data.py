"""What is read, and how it is split."""

import re
from datetime import date
from typing import Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, PositiveInt, field_validator, model_validator

from curec_assets.settings.sections.base import OPERATIONAL, Section

DATABASES = ("sqlite:///FILE", "duckdb:///FILE", "postgresql://USER@HOST/NAME")
"""Forms of `data.database`."""


class DataSettings(Section):
    """What to read and what counts as liked."""

    source: Literal["movielens-100k", "files", "database", "toy"] = Field(
        description="Where interactions and items come from: the embedded default, your own two "
        "files, queries of your database, or a small synthetic set for tests."
    )
    interactions_path: str = Field(
        "",
        description="source=files: CSV, TSV, JSON lines or Parquet (text also with .gz), "
        "one row per user-item event: one file that holds all of them (here, or by its http, "
        "https, s3 or hf URL), or a folder that files with new or corrected ones are put into, "
        "perhaps with a pattern of their names (also of s3 and hf): `reviews/part-*.jsonl.gz`.",
    )
    items_path: str = Field(
        "",
        description="source=files: one row per item, in one of the same forms. Empty: items are "
        "what the events name, by their ids alone.",
    )
    most_download_gb: float = Field(
        5.0,
        gt=0.0,
        description="source=files: a file behind a URL may be as large as this, in 10^9 bytes.",
        json_schema_extra=OPERATIONAL,
    )
    database: str = Field(
        "",
        description=f"source=database: {', '.join(DATABASES)}. Never with a password: that comes "
        "from the environment variable PGPASSWORD or from ~/.pgpass.",
    )
    interactions_query: str = Field(
        "",
        description="source=database: a SELECT that gives one row per user-item event, all of "
        "them. Of its columns those that the settings name are read.",
    )
    items_query: str = Field(
        "",
        description="source=database: a SELECT that gives one row per item. Empty: items are what "
        "the events name, by their ids alone.",
    )
    user_column: str = Field("user_id", description="Interactions column that names the user.")
    item_column: str = Field("item_id", description="Column that names the item, in both files.")
    time_column: str = Field(
        "timestamp",
        description="Interactions column with the time: Unix seconds, or ISO 8601 text or dates.",
    )
    rating_column: str = Field(
        "rating", description="Interactions column with a rating, or a boolean label."
    )
    feedback: Literal["explicit", "implicit"] = Field(
        "explicit",
        description="`implicit`: events say only what people took to (clicks, plays, sales). No "
        "rating is read, every event counts as a like, and beside each others are drawn that did "
        "not happen.",
    )
    review_columns: tuple[str, ...] = Field(
        (),
        description="Interactions columns with what people wrote (a review's title and text, in "
        "English). Of it only what they praise and find fault with is kept, in single words; those "
        "that several people speak of are facts about the item from then on.",
    )
    drawn_per_event: PositiveInt = Field(
        1,
        description="feedback=implicit: events that did not happen, drawn beside each that did: "
        "an item as new to the user, and to all, as the event's own, drawn as often as it was "
        "taken.",
    )
    time_unit: Literal["s", "ms", "us"] = Field(
        "s", description="Of times that are numbers: seconds, milliseconds or microseconds."
    )
    operation_column: str = Field(
        "operation",
        description="Interactions column, where there is one, that says `delete` in rows that take "
        "an event back (same user, item and time).",
    )
    title_column: str = Field("title", description="Items column with the title.")
    year_column: str = Field(
        "year",
        description="Items column with the year, which tells equal titles apart; the file may lack "
        "it.",
    )
    attribute_columns: tuple[str, ...] = Field(
        (),
        description="Items columns whose values may be named in reasons (genre, brand, ...). A "
        "column that no setting names is not read.",
    )
    text_columns: tuple[str, ...] = Field(
        (),
        description="Items columns with prose: part of an item's embedded text, never named.",
    )
    item_text: str = Field(
        "",
        description="Template of an item's embedded text: `{title}`, `{year}`, `{description}` "
        "(what text_columns hold) and attributes by the names of their columns; what stands in "
        "square brackets is left out where it has an empty value, as in `{title}[ by {brand}]`. "
        "Empty: the title, each attribute with its name, and the description.",
    )
    confirmed_columns: tuple[str, ...] = Field(
        (),
        description="Attribute columns that may be used although they look like e-mail addresses, "
        "phone numbers or names of people (directors, actors). Others that do are refused.",
    )
    csv_separator: str = Field(
        "",
        max_length=1,
        description="Separator of the cells of CSV files; empty: a comma, in TSV a tab.",
    )
    attribute_separator: str = Field(
        ",", description="Separator inside a text cell that holds several attribute values."
    )
    earliest_time: date = Field(
        date(1990, 1, 1),
        description="source=files: events before this day, or more than a day after they are read, "
        "are mistakes and go into quarantine.",
    )
    most_bad_share: float = Field(
        0.05,
        ge=0.0,
        le=1.0,
        description="source=files: share of interactions that may go into quarantine (a cell that "
        "cannot be read, a time out of range); above it the file is refused.",
    )
    most_lost_share: float = Field(
        0.1,
        ge=0.0,
        le=1.0,
        description="source=files: share of known interactions that a changed file may lack; above "
        "it the file is refused, for it may be half copied, unless an empty NAME.done beside it "
        "vouches for it. 1 accepts whatever comes.",
        json_schema_extra=OPERATIONAL,
    )
    expected_hours: float = Field(
        24.0,
        gt=0.0,
        description="source=files: new data is expected this often; later the UI marks what "
        "follows it as late (freshness), and after twice as long as failed.",
        json_schema_extra=OPERATIONAL,
    )
    liked_threshold: float = Field(
        4.0, description="An event is liked when rating >= this; for boolean labels use 0.5."
    )
    max_history: PositiveInt = Field(
        50, description="Longest history kept per event: the latest events before it."
    )

    @property
    def liked_from(self) -> float | None:
        """The least rating of a liked event; None where every event is."""
        return None if self.feedback == "implicit" else self.liked_threshold

    @model_validator(mode="after")
    def _item_text_names_what_is_read(self) -> Self:
        known = ["title", "year", "description", *self.attribute_columns]
        if self.source not in ("files", "database"):
            known += ["genre", "director", "actor"]
        found = re.findall(r"{([^{}]*)}", self.item_text)
        unknown = [name for name in found if name not in known]
        if unknown or (self.item_text and not found):
            raise ValueError(
                f"item_text names {', '.join(map(repr, unknown)) or 'no column'}; expected some of "
                f"{', '.join(f'{{{name}}}' for name in known)}. Correct the template, or add the "
                "column to attribute_columns"
            )
        return self

    @field_validator("interactions_path", "items_path")
    @classmethod
    def _holds_no_login(cls, path: str) -> str:
        if "://" in path and urlsplit(path).password:  # in no message, for it is one
            raise ValueError(
                "found a password in the URL, which would be stored with the settings; copy the "
                "file here and set its path, or let it be read without a login"
            )
        return path

    @field_validator("database")
    @classmethod
    def _says_where_and_no_secret(cls, url: str) -> str:
        # The value is in no message: it may hold a password.
        parts = urlsplit(url)
        if parts.password or any("password" in name for name, _ in parse_qsl(parts.query)):
            raise ValueError(
                "found a password in the URL, which would be stored with the settings; take it "
                "out, and set the environment variable PGPASSWORD or write it into ~/.pgpass"
            )
        if url and not url.startswith(("sqlite:///", "duckdb:///", "postgresql://")):
            raise ValueError(
                f"found a URL that begins with {parts.scheme!r}; set one of {', '.join(DATABASES)}"
            )
        return url


class SplitSettings(Section):
    """Global temporal split, and the train part's division by user."""

    train_fraction: float = Field(0.8, gt=0.0, lt=1.0, description="Earliest share of events.")
    validation_fraction: float = Field(
        0.1, gt=0.0, lt=1.0, description="Next share of events; the rest is test."
    )
    reward_fold_fraction: float = Field(
        0.5,
        gt=0.0,
        lt=1.0,
        description="Share of users whose training events fit the reward model; the others' drive "
        "alignment and reinforcement learning.",
    )

    @model_validator(mode="after")
    def _room_for_test(self) -> Self:
        if self.train_fraction + self.validation_fraction >= 1.0:
            raise ValueError(
                f"train_fraction {self.train_fraction} + validation_fraction "
                f"{self.validation_fraction} leaves nothing for test; their sum must be below 1"
            )
        return self
