"""The asset `generated_reasons` against the raw engine: what the walk costs besides generation.

The asset is materialised for real, in a copy of the home, on fewer users; the engine then writes
the very calls that the asset made of it. Both times begin when the model is loaded. `--engine vllm`
in the environment of `make test-vllm`.
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
from curec_assets.definitions import default_resources
from curec_assets.reasons.assets import generated_reasons
from resources.reason_writer import (
    Completion,
    Prompt,
    ReasonWriter,
    ReasonWriterFactory,
    Sampling,
    WriterOptions,
)

_SIZE = {"users": 32, "rounds": 1}


@dataclass
class _Recording:
    """A factory whose writers remember their calls and how long they were open."""

    inner: ReasonWriterFactory
    calls: list[tuple[list[Prompt], Sampling]] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0

    @contextmanager
    def open(
        self, base: Path, adapter: Path | None, options: WriterOptions
    ) -> Iterator["_RecordingWriter"]:
        with self.inner.open(base, adapter, options) as writer:
            started = time.perf_counter()
            yield _RecordingWriter(writer, self)
            self.seconds = time.perf_counter() - started


class _RecordingWriter:
    def __init__(self, inner: ReasonWriter, log: _Recording) -> None:
        self.engine = inner.engine
        self._inner = inner
        self._log = log

    def prompt_tokens(self, prompt: Prompt) -> int:
        return self._inner.prompt_tokens(prompt)

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        written = self._inner.write(prompts, sampling)
        self._log.calls.append((list(prompts), sampling))
        self._log.tokens += sum(len(done.token_ids) for done in written)
        return written


def main() -> None:
    """Measure, print, and keep the records."""
    parser = harness.parser(__doc__)
    parser.add_argument("--engine", choices=["transformers", "vllm"], default="transformers")
    options = parser.parse_args()
    command = "make bench-speed-asset" + ("-vllm" if options.engine == "vllm" else "")
    with tempfile.TemporaryDirectory() as folder:
        home = _copy(options.home.resolve(), Path(folder))
        first = _materialise(home, options.engine)
        base, adapter, writer_options = _opened_with(home, options.engine)
        ratios, assets, engines = [], [], []
        with default_resources("laptop", home)["reason_writer"].open(
            base, adapter, writer_options
        ) as writer:
            for _ in range(options.count):
                asset = _materialise(home, options.engine)
                started = time.perf_counter()
                tokens = sum(
                    len(done.token_ids)
                    for prompts, sampling in first.calls
                    for done in writer.write(prompts, sampling)
                )
                raw = tokens / (time.perf_counter() - started)
                assets.append(asset.tokens / asset.seconds)
                engines.append(raw)
                ratios.append(assets[-1] / raw)
                print(f"asset {assets[-1]:.1f}, engine {raw:.1f} tokens/s", flush=True)
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
                    "reasons": _SIZE,
                    "language_model": {"engine": engine},
                }
            }
        }
    }


def _materialise(home: Path, engine: str) -> _Recording:
    shutil.rmtree(home / "models" / "generated_reasons", ignore_errors=True)
    resources = default_resources("laptop", home)
    recording = _Recording(resources["reason_writer"])
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [generated_reasons],
            instance=instance,
            resources={**resources, "reason_writer": recording},
            run_config=_config(engine),
        )
    return recording


def _opened_with(home: Path, engine: str) -> tuple[Path, Path, WriterOptions]:
    from benchmarks.home import Home

    opened = Home.open(home, language_model={"engine": engine})
    return opened.base, opened.adapter("reason_policy"), opened.profile.writer_options()


if __name__ == "__main__":
    main()
