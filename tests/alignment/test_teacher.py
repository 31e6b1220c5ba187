"""The teacher: what it is shown, what is kept of it, and that nothing is asked twice."""

import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from curec_assets.alignment.assets import alignment_corpus
from curec_assets.alignment.checks import targets_are_grounded
from curec_assets.alignment.corpus import build_corpus
from curec_assets.alignment.teacher import (
    MALFORMED,
    OTHER_VERDICT,
    UNFINISHED,
    UNGROUNDED,
    Lesson,
    Taught,
    Teacher,
)
from curec_assets.core.asset import as_asset
from curec_assets.core.seeds import random_generator
from curec_assets.datasets import assets as datasets
from curec_assets.definitions import default_resources
from curec_assets.evidence import assets as evidence
from curec_assets.explanation.composer import completion, compose
from curec_assets.explanation.facts import Catalogue, Facts, HistoryItem
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import reason_prompt
from curec_assets.settings import Settings, load_profile
from resources.errors import EngineError
from resources.generation.protocol import Completion, Prompt, Sampling
from resources.storage.warehouse import Warehouse

PROFILE = load_profile("smoke", {"teacher": {"samples": 2}})
TABLES = ("event_splits", "collaborative_evidence", "histories", "items")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the tables of the toy set."""
    home = tmp_path_factory.mktemp("home")
    assets = [as_asset(recipe) for recipe in (*datasets.RECIPES, *evidence.RECIPES)]
    dg.materialize(assets, resources=default_resources("smoke", home))
    return home


@pytest.fixture(scope="module")
def tables(prepared: Path) -> dict[str, pl.DataFrame]:
    warehouse = Warehouse(path=str(prepared / "warehouse.duckdb"))
    return {name: warehouse.read(name) for name in TABLES}


def lessons_of(tables: dict[str, pl.DataFrame]) -> list[Lesson]:
    asked: list[Lesson] = []

    def teach(lessons: Sequence[Lesson]) -> dict[str, Taught]:
        asked.extend(lessons)
        return {}

    build_corpus(*(tables[name] for name in TABLES), PROFILE, teach)
    return asked


@dataclass
class Answers:
    """A generator that says what it was given to say, prompt by prompt."""

    texts: Sequence[str | Completion]
    engine: str = "answers"

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        assert len(self.texts) == len(prompts) * sampling.samples
        return [
            text if isinstance(text, Completion) else Completion(text, (), (), True, None)
            for text in self.texts
        ]

    def prompt_tokens(self, prompt: Prompt) -> int:
        raise NotImplementedError


def teacher(texts: Sequence[str | Completion], items: pl.DataFrame) -> Teacher:
    profile = load_profile("smoke", {"teacher": {"samples": len(texts)}})
    return Teacher(Answers(texts), GroundingChecker(Catalogue(items), 60), profile)


def test_no_prompt_tells_a_label(tables: dict[str, pl.DataFrame]) -> None:
    splits = tables["event_splits"]
    flipped = {**tables, "event_splits": splits.with_columns(~pl.col("liked"))}
    one, other = lessons_of(tables), lessons_of(flipped)
    assert {lesson.verdict for lesson in one} == {"like", "dislike"}
    assert all(a.verdict != b.verdict for a, b in zip(one, other, strict=True))
    asking = teacher([""], tables["items"])
    assert asking.prompts(one) == asking.prompts(other)


def test_the_teacher_reads_what_the_policy_reads_after_two_demonstrations(
    tables: dict[str, pl.DataFrame],
) -> None:
    lessons = lessons_of(tables)
    by_text = {reason_prompt(lesson.facts).messages[-1]: lesson for lesson in lessons}
    prompts = teacher([""], tables["items"]).prompts(lessons)
    assert len({prompt.seed for prompt in prompts}) == len(lessons)
    beginnings = Counter(prompt.messages[:-1] for prompt in prompts)
    assert max(beginnings.values()) >= len(lessons) / 2, "for the server's prefix cache"
    for lesson, prompt in zip(lessons, prompts, strict=True):
        policy = reason_prompt(lesson.facts)
        assert (prompt.messages[-1], prompt.grammar) == (policy.messages[-1], policy.grammar)
        roles = [role for role, _ in prompt.messages]
        assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
        verdicts = []
        for question, answer in (prompt.messages[1:3], prompt.messages[3:5]):
            shown = by_text[question]
            assert shown.user_id != lesson.user_id, "a later history tells how this event ended"
            verdicts.append(answer[1].partition("; verdict ")[2].partition("\n")[0])
        assert verdicts == ["like", "dislike"]


FACTS = Facts(
    "The Silent Harbor",
    ("drama", "crime"),
    (HistoryItem("The Last Garden", ("drama",)),),
    (HistoryItem("Wild Road", ("crime",)),),
)
ITEMS = pl.DataFrame(
    {
        "item_id": ["1", "2", "3", "4"],
        "title": ["The Silent Harbor", "The Last Garden", "Wild Road", "Golden Heat"],
        "attributes": [
            [{"kind": "genre", "value": value} for value in values]
            for values in (["drama", "crime"], ["drama"], ["crime"], ["horror"])
        ],
    }
)
RIGHT = completion(compose(FACTS, "like", random_generator(1)))
WRONG = completion(compose(FACTS, "dislike", random_generator(1)))
EVIDENCE = RIGHT.partition(" You")[0].partition(" Since")[0]
REFUSED = {
    UNFINISHED: Completion(RIGHT, (), (), False, None),
    MALFORMED: "Sure! You will like it.",
    OTHER_VERDICT: WRONG,
    UNGROUNDED: f'{EVIDENCE} You liked "Wild Road", so "The Silent Harbor" should suit you.',
}


@pytest.mark.parametrize("cause", REFUSED)
def test_an_answer_is_refused_for_its_cause(cause: str) -> None:
    lesson = Lesson("e1", "u1", FACTS, "like")
    asked = teacher([REFUSED[cause]], ITEMS)
    assert asked.teach([lesson]) == {"e1": Taught(None, (cause,))}


@pytest.mark.parametrize(
    "text",
    [
        "",
        RIGHT.replace("The Last Garden", "Golden Heat"),  # in the evidence: no grammar was obeyed
        EVIDENCE,
        f"{EVIDENCE} Yes.",
        f"{EVIDENCE} You should see it because it is good.",  # names no item
        f'{EVIDENCE} "The Silent Harbor" should\nsuit you.',
    ],
)
def test_what_lacks_the_form_is_malformed(text: str) -> None:
    lesson = Lesson("e1", "u1", FACTS, "like")
    assert teacher([text], ITEMS).teach([lesson])["e1"].refused == (MALFORMED,)


def test_the_first_answer_that_passes_is_the_target() -> None:
    asked = [Lesson("e1", "u1", FACTS, "like"), Lesson("e2", "u2", FACTS, "dislike")]
    other = RIGHT.replace("suit you", "suit you well").replace("appeal", "well appeal")
    profile = load_profile("smoke", {"teacher": {"samples": 3}})
    texts = [WRONG, RIGHT, other, WRONG, RIGHT, REFUSED[UNGROUNDED]]
    checker = GroundingChecker(Catalogue(ITEMS), 60)
    assert Teacher(Answers(texts), checker, profile).teach(asked) == {
        "e1": Taught(RIGHT, (OTHER_VERDICT,)),
        "e2": Taught(WRONG, ()),
    }


@dataclass
class TeacherServer:
    """An OpenAI-compatible server whose model knows what to say to some messages."""

    knows: dict[str, str]
    dies_after: int = 10**9
    model: str = "large"
    asked: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def running(self) -> Iterator[str]:
        state = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                self.say(200, {"data": [{"id": state.model}]})

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                user = request["messages"][-1]["content"]
                if user == "Hello":
                    texts = ["Hi"]
                elif state.asked.total() >= state.dies_after:
                    self.say(500, {"error": "out of memory"})
                    return
                else:
                    state.asked[user] += 1
                    texts = ["I do not know.", state.knows.get(user, "Sorry.")]
                self.say(
                    200,
                    {
                        "choices": [
                            {"index": index, "message": {"content": text}, "finish_reason": "stop"}
                            for index, text in enumerate(texts)
                        ]
                    },
                )

            def say(self, status: int, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def materialize(home: Path, **teacher: Any) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The corpus and its metadata."""
    resources = default_resources("smoke", home)
    if teacher:
        teacher = {"retries": 0, "concurrency": 2, "samples": 2, **teacher}
        resources["settings"] = Settings(profile="smoke", teacher=teacher)
    result = dg.materialize([as_asset(alignment_corpus), targets_are_grounded], resources=resources)
    (event,) = result.get_asset_materialization_events()
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    metadata = {name: value.value for name, value in event.materialization.metadata.items()}
    return Warehouse(path=str(home / "warehouse.duckdb")).read("alignment_corpus"), metadata


@pytest.fixture
def home(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "home"))


def test_a_taught_corpus(home: Path) -> None:
    """Half of the targets the teacher's, the others the composer's; nothing asked twice."""
    plain, metadata = materialize(home)
    reasons = plain.filter(pl.col("task") == "reason")
    count = reasons.height
    assert metadata["reason_targets"] == {"composer": count}
    assert metadata["teacher_refused"] == {}
    assert set(plain["source"]) == {"composer"}

    # What it knows are right answers for every other event; they count as the teacher's own.
    known = reasons.gather_every(2)
    server = TeacherServer(dict(known.select("user", "completion").iter_rows()))
    with server.running() as url:
        taught, metadata = materialize(home, url=url, model="large")
        assert not metadata["cached"]
        again, second = materialize(home, url=url, model="large")
        assert second["cached"]
        materialize(home, url=url, model="large", concurrency=3)
    assert again.equals(taught)
    assert {**second, "cached": False, "why": metadata["why"]} == metadata
    assert server.asked == Counter(reasons["user"].to_list())
    assert metadata["reason_targets"] == {
        "composer": count - known.height,
        "teacher": known.height,
    }
    assert metadata["teacher_refused"] == {MALFORMED: 2 * count - known.height}
    assert taught.drop("source", "refused").equals(plain.drop("source", "refused"))
    by_teacher = taught.filter(pl.col("source") == "teacher")
    assert set(by_teacher["event_id"]) == set(known["event_id"])

    # Another teacher, and other sampling, are asked anew.
    other = replace(server, model="larger", asked=Counter())
    with other.running() as url:
        materialize(home, url=url, model="larger")
        assert other.asked == server.asked
        materialize(home, url=url, model="larger", temperature=0.1)
        assert other.asked.total() == 2 * server.asked.total()


def test_a_teacher_that_dies_is_asked_only_for_the_rest(home: Path) -> None:
    first, second = TeacherServer({}, dies_after=5), TeacherServer({})
    with first.running() as url, pytest.raises(EngineError, match=r"out of memory.*is kept"):
        materialize(home, url=url, model="large")
    with second.running() as url:
        corpus, _ = materialize(home, url=url, model="large")
    assert first.asked.total() == 5
    everyone = corpus.filter(pl.col("task") == "reason")["user"].to_list()
    assert first.asked + second.asked == Counter(everyone)
