"""The report renders from little, escapes what it is given, and needs no network."""

import re

import polars as pl

from curec_assets.evaluation.bootstrap import Interval
from curec_assets.evaluation.protocol import SCHEMA
from curec_assets.evaluation.reason_quality import Measured
from curec_assets.reports.quality import Report, render
from curec_assets.reward.gate import Gate, ReaderGate

_UNSURE = Interval(0.5, 0.4, 0.6)
_NO_DIFFERENCE = Interval(0.0, -0.1, 0.1)
_OF_READER = ReaderGate(
    _UNSURE, _UNSURE, _UNSURE, _NO_DIFFERENCE, _NO_DIFFERENCE, _NO_DIFFERENCE, 12, 5, 4, "users"
)
_GATE = Gate(_OF_READER, _OF_READER)
_QUALITY = [Measured("grounded", "share that claims nothing else", Interval(0.9, 0.8, 1.0))]


def _page(evaluation: list[tuple[object, ...]], recommendations: list[dict[str, object]]) -> str:
    shown = {"user_id": "", "rank": 0, "item_id": "", "title": "", "score": 0.0, "reason": ""}
    shown |= {"level": 5, "facts": [], "grounded": True, "source": ""}
    return render(
        Report(
            profile="smoke",
            evaluation=pl.DataFrame(evaluation, schema=SCHEMA, orient="row"),
            gate=_GATE,
            reward_curve=[0.1, 0.2],
            quality=_QUALITY,
            coverage={"train": (2, 80), "test": (0, 0)},
            recommendations=pl.DataFrame([shown, *recommendations])[1:],
            lineage=pl.DataFrame(
                [{"asset": "a", "fingerprint": "f1", "data_version": "d1", "code_version": "1"}]
            ),
        )
    )


def _full_page() -> str:
    rows = [
        ("id", "all", "AUC", 0.75, 0.7, 0.8, 100, 9),
        ("id_text - id", "all", "AUC", -0.02, -0.03, -0.01, 100, 9),
        ("id", "with_reason", "AUC", None, None, None, 1, 1),
    ]
    one = {"user_id": "u1", "rank": 1, "item_id": "7", "title": "Heat <script>", "score": 0.9}
    one |= {"reason": "Because & so", "level": 7, "grounded": True, "source": "policy"}
    one |= {"facts": [{"kind": "like_minded", "value": "", "count": 7, "of": 9}]}
    return _page(rows, [one])


def test_the_page_needs_nothing_from_outside() -> None:
    page = _full_page()
    without_pictures = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", page)
    assert "//" not in without_pictures and "@import" not in without_pictures
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)


def test_the_page_shows_what_it_was_given_and_escapes_it() -> None:
    page = _full_page()
    assert "(like minded: 7 of 9)" in page and "level 7 of 9" in page
    assert "Heat &lt;script&gt;" in page and "Because &amp; so" in page
    assert "<script" not in page
    assert "0.7500<small>0.7000 to 0.8000" in page
    assert 'class="bad">\N{MINUS SIGN}0.0200' in page
    assert "undefined" in page and "Gate not passed" in page and "2.50 %" in page
    assert "f1" in page and "d1" in page


def test_an_empty_section_says_so() -> None:
    page = _page([], [])
    assert "No test event is in this slice." in page
    assert "Nothing has been recommended" in page


def test_the_page_is_the_same_each_time() -> None:
    assert _full_page() == _full_page()
