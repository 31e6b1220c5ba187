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
from curec_assets.alignment.checks import corpus_is_varied, targets_are_grounded
from curec_assets.alignment.corpus import build_corpus
from curec_assets.alignment.teacher import (
    MALFORMED,
    OTHER_LEVEL,
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
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.levels import chain_words
from curec_assets.explanation.prompts import chain, completion, parse_reason, reason_prompt
from curec_assets.features.assets import item_embeddings
from curec_assets.settings import Settings, load_profile
from resources.errors import EngineError
from resources.generation.protocol import Completion, Prompt, Sampling
from resources.storage.warehouse import Warehouse
from tests.support.grammars import admits

PROFILE = load_profile("smoke", {"teacher": {"samples": 2}})
Tables = dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the tables of the toy set."""
    home = tmp_path_factory.mktemp("home")
    assets = [
        as_asset(recipe) for recipe in (*datasets.RECIPES, item_embeddings, *evidence.RECIPES)
    ]
    dg.materialize(assets, resources=default_resources("smoke", home))
    return home


def lessons_of(tables: Tables) -> list[Lesson]:
    asked: list[Lesson] = []

    def teach(lessons: Sequence[Lesson]) -> dict[str, Taught]:
        asked.extend(lessons)
        return {}

    names = ("event_splits", "event_evidence", "items")
    build_corpus(*(tables[name] for name in names), PROFILE, teach)
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


def teacher(texts: Sequence[str | Completion]) -> Teacher:
    profile = load_profile("smoke", {"teacher": {"samples": len(texts)}})
    return Teacher(Answers(texts), GroundingChecker(60), profile)


def test_the_teacher_reads_what_the_policy_reads_and_the_level_and_the_wordings(
    tables: Tables,
) -> None:
    lessons = lessons_of(tables)
    prompts = teacher([""]).prompts(lessons)
    assert len({prompt.seed for prompt in prompts}) == len(lessons)
    beginnings = Counter(prompt.messages[:-1] for prompt in prompts)
    assert max(beginnings.values()) >= len(lessons) / 2, "for the server's prefix cache"
    of_user = {
        prompt.messages[-1]: lesson.user_id for lesson, prompt in zip(lessons, prompts, strict=True)
    }
    levels = dict(tables["event_evidence"].select("event_id", "level").iter_rows())
    for lesson, prompt in zip(lessons, prompts, strict=True):
        assert lesson.level == levels[lesson.event_id]
        asked = prompt.messages[-1][1]
        assert asked.startswith(reason_prompt(lesson.facts).messages[-1][1])
        assert f"Level: {chain_words(lesson.level)}" in asked
        for level in range(1, 10):
            thought = chain(compose(lesson.facts, level, random_generator(1)).cited, level)
            assert admits(prompt.grammar, thought) == (level == lesson.level)
        roles = [role for role, _ in prompt.messages]
        assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
        shown = []
        for question, answer in (prompt.messages[1:3], prompt.messages[3:5]):
            assert of_user[question] != lesson.user_id, "a later history tells how this one ended"
            parsed = parse_reason(answer[1])
            assert parsed is not None
            shown.append(parsed.level > 5)
        assert shown == [True, False]


FACTS = Facts(
    "The Silent Harbor",
    ("drama", "crime"),
    (
        Fact("related", 2, "The Last Garden", liked=True),
        Fact("crowd", -2),
        Fact("attribute", 1, "drama", attribute="genre"),
    ),
)
RIGHT = completion(compose(FACTS, 7, random_generator(1)))
OTHER = completion(compose(FACTS, 3, random_generator(1)))
CHAIN = RIGHT.partition("\n")[0]
REFUSED = {
    UNFINISHED: Completion(RIGHT, (), (), False, None),
    MALFORMED: "Sure! You will like it.",
    OTHER_LEVEL: OTHER,
    UNGROUNDED: RIGHT.replace("The Last Garden", "Golden Heat"),
}


@pytest.mark.parametrize("cause", REFUSED)
def test_an_answer_is_refused_for_its_cause(cause: str) -> None:
    lesson = Lesson("e1", "u1", FACTS, 7)
    assert teacher([REFUSED[cause]]).teach([lesson]) == {"e1": Taught(None, (cause,))}


@pytest.mark.parametrize(
    "text",
    [
        "",
        RIGHT.replace("F1", "F7", 1),  # no grammar was obeyed
        CHAIN,
        f"{CHAIN}\n",
        f"{CHAIN}\nYes.",
        f"{CHAIN}\nYou should see it because it is good.",
        RIGHT[:-1],
    ],
)
def test_what_lacks_the_form_is_malformed(text: str) -> None:
    lesson = Lesson("e1", "u1", FACTS, 7)
    assert teacher([text]).teach([lesson])["e1"].refused == (MALFORMED,)


def test_the_first_answer_that_passes_is_the_target() -> None:
    asked = [Lesson("e1", "u1", FACTS, 7), Lesson("e2", "u2", FACTS, 3)]
    another = completion(compose(FACTS, 7, random_generator(2)))
    assert another != RIGHT
    profile = load_profile("smoke", {"teacher": {"samples": 3}})
    texts: list[str | Completion] = [OTHER, RIGHT, another, OTHER, RIGHT, REFUSED[UNGROUNDED]]
    assert Teacher(Answers(texts), GroundingChecker(60), profile).teach(asked) == {
        "e1": Taught(RIGHT, (OTHER_LEVEL,)),
        "e2": Taught(OTHER, ()),
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
                    state.asked[user.partition("\nLevel: ")[0]] += 1
                    asked = user.partition("\nLevel: ")[0]
                    texts = ["I do not know.", state.knows.get(asked, "Sorry.")]
                self.say(
                    200,
                    {
                        "model": state.model,
                        "choices": [
                            {"index": index, "message": {"content": text}, "finish_reason": "stop"}
                            for index, text in enumerate(texts)
                        ],
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
    result = dg.materialize(
        [as_asset(alignment_corpus), targets_are_grounded, corpus_is_varied], resources=resources
    )
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
