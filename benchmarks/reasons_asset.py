"""The asset `generated_reasons` against the raw engine: what the walk costs besides generation.

The asset is materialised for real, in a copy of the home, on fewer users; the engine then writes
the very calls that the asset made of it. Both open the engine anew, and their times begin when
the model is loaded. `--engine vllm` in the environment of `make test-vllm`.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks import harness, tables
from curec_assets.core.asset import as_asset
from curec_assets.definitions import default_resources
from curec_assets.reasons.assets import generated_reasons
from resources.generation.journal import DeliversEach
from resources.generation.protocol import (
    Completion,
    GeneratorFactory,
    GeneratorOptions,
    Prompt,
    Sampling,
)
from resources.models.checkpoint import BaseCheckpoint

_USERS = {"transformers": 32, "vllm": 4}  # one event of each; vLLM's CPU build is slow


@dataclass
class _Recording:
    """A factory whose writers remember their calls and how long they were open."""

    inner: GeneratorFactory
    calls: list[tuple[list[Prompt], Sampling]] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0

    @contextmanager
    def open(
        self, base: BaseCheckpoint, adapter: Path | None, options: GeneratorOptions
    ) -> Iterator["_RecordingGenerator"]:
        with self.inner.open(base, adapter, options) as generator:
            started = time.perf_counter()
            assert isinstance(generator, DeliversEach)
            yield _RecordingGenerator(generator, self)
            self.seconds = time.perf_counter() - started


class _RecordingGenerator:
    def __init__(self, inner: Any, log: _Recording) -> None:
        """`inner`: a `TextGenerator` that `DeliversEach`."""
        self.engine = inner.engine
        self._inner = inner
        self._log = log

    def prompt_tokens(self, prompt: Prompt) -> int:
        return self._inner.prompt_tokens(prompt)

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        done = dict(self.write_each(prompts, sampling))
        return [completion for index in range(len(prompts)) for completion in done[index]]

    def write_each(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> Iterator[tuple[int, list[Completion]]]:
        self._log.calls.append((list(prompts), sampling))
        for index, completions in self._inner.write_each(prompts, sampling):
            self._log.tokens += sum(len(done.token_ids) for done in completions)
            yield index, completions


def main() -> None:
    """Measure, print, and keep the records."""
    parser = harness.parser(__doc__)
    parser.add_argument("--engine", choices=["transformers", "vllm"], default="transformers")
    options = parser.parse_args()
    command = "make bench-speed-asset" + ("-vllm" if options.engine == "vllm" else "")
    with tempfile.TemporaryDirectory() as folder:
        home = _copy(options.home.resolve(), Path(folder))
        ratios, assets, engines = [], [], []
        for _ in range(options.count):
            asset = _materialise(home, options.engine)
            assets.append(asset.tokens / asset.seconds)
            engines.append(_raw(home, options.engine, asset.calls))
            ratios.append(assets[-1] / engines[-1])
            print(f"asset {assets[-1]:.1f}, engine {engines[-1]:.1f} tokens/s", flush=True)
    record = harness.Record.of
    name = f"generated_reasons ({options.engine})"
    tables.publish(
        [
            record(
                f"{name} against the raw engine", harness.Spread.of(ratios), "times", command,
                ">= 0.95",
            ),
            record(f"{name}: asset", harness.Spread.of(assets), "tokens/s", command),
            record(f"{name}: engine", harness.Spread.of(engines), "tokens/s", command),
        ],
        options.figures,
    )  # fmt: skip


def _copy(home: Path, target: Path) -> Path:
    """A home that shares what is only read with `home`."""
    shutil.copy(home / "warehouse.duckdb", target / "warehouse.duckdb")
    shutil.copytree(home / "encoder", target / "encoder")
    for name in ("base_models", "downloads"):
        (target / name).symlink_to(home / name)
    (target / "models").mkdir()
    for model in (home / "models").iterdir():
        if model.name != "generated_reasons":
            (target / "models" / model.name).symlink_to(model)
    return target


def _config(engine: str) -> dict[str, Any]:
    return {
        "resources": {
            "settings": {
                "config": {
                    "profile": "laptop",
                    "reasons": {"users": _USERS[engine], "rounds": 1},
                    "language_model": {"engine": engine},
                }
            }
        }
    }


def _materialise(home: Path, engine: str) -> _Recording:
    shutil.rmtree(home / "models" / "generated_reasons", ignore_errors=True)
    resources = default_resources("laptop", home)
    recording = _Recording(resources["generator_factory"])
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [as_asset(generated_reasons)],
            instance=instance,
            resources={**resources, "generator_factory": recording},
            run_config=_config(engine),
        )
    return recording


def _raw(home: Path, engine: str, calls: Sequence[tuple[list[Prompt], Sampling]]) -> float:
    """Tokens per second of the engine alone, opened anew: what it has seen before it remembers."""
    base, adapter, options = _opened_with(home, engine)
    with default_resources("laptop", home)["generator_factory"].open(
        base, adapter, options
    ) as generator:
        started = time.perf_counter()
        tokens = sum(
            len(done.token_ids)
            for prompts, sampling in calls
            for done in generator.write(prompts, sampling)
        )
        return tokens / (time.perf_counter() - started)


def _opened_with(home: Path, engine: str) -> tuple[BaseCheckpoint, Path, GeneratorOptions]:
    from benchmarks.home import Home

    opened = Home.open(home, language_model={"engine": engine})
    return opened.base, opened.adapter("reason_policy"), opened.profile.generator_options()


if __name__ == "__main__":
    main()
