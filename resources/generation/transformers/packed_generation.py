"""Generation that computes shared prefixes once and spends nothing on padding or finished rows.

What `generate` of `transformers` leaves on the table for many related prompts on a CPU, and what is
done here: the user's part of a prompt is computed once for all candidates and all samples; keys and
values stay where they are instead of being copied at every token; a row that has finished makes
room for the next; text that a grammar forces is checked in one pass. The model's own code runs the
layers; only the attention function is replaced (`packed_attention`).
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import xgrammar as xgr
from torch import Tensor

from resources.errors import EngineError
from resources.generation.transformers.constrained_decoding import (
    Constraint,
    DecodingGrammars,
    choose,
    logprobs,
)
from resources.generation.transformers.packed_attention import (
    ATTENTION,
    DecodePass,
    Packing,
    PrefillPass,
    Prefix,
    Slots,
    register,
)
from resources.generation.transformers.prefixes import plan_prefixes
from resources.generation.transformers.requests import Generated, Limits, Request

log = logging.getLogger(__name__)

_PREFILL_TOKENS = 2048  # of one pass: bounds the memory of activations
_ROOT = -1  # key of the prefix that all prompts share


@dataclass
class _Row:
    request: int
    seed: int
    prefix: int
    """Key of its prefix."""
    before: int
    """Tokens in its prefix."""
    constraint: Constraint
    position: int
    """Tokens in its slot."""
    generated: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    """Of the generated tokens, if kept."""
    finished: bool = False
    """Whether the end token or a stop text has been reached."""

    def end(self, limits: Limits) -> None:
        """As the grammar wants it: the end token was the only one that could follow."""
        self.generated.append(limits.end_token)
        if limits.keep_logprobs:
            self.logprobs.append(0.0)
        self.constraint.constrained += 1
        self.finished = True

    def ended(self, limits: Limits) -> bool:
        return self.finished or len(self.generated) >= limits.max_new_tokens


@dataclass
class Counts:
    """What a generation computed, for reports."""

    prompt_tokens: int = 0
    computed_prompt_tokens: int = 0
    passes: int = 0
    decoded_tokens: int = 0
    """Tokens fed one by one or as drafts."""
    kept_tokens: int = 0


class PackedGenerator:
    """Continues token sequences with one model. Raises `EngineError` for models it cannot run."""

    def __init__(
        self, model: Any, tokenizer: Any, grammars: DecodingGrammars, batch_size: int
    ) -> None:
        _require_plain_attention(model.config)
        register()
        model.set_attn_implementation(ATTENTION)
        self._model = model
        self._tokenizer = tokenizer
        self._grammars = grammars
        self.batch_size = batch_size
        """Rows generated at once."""
        self.counts = Counts()

    def generate(self, requests: Sequence[Request], limits: Limits) -> Iterator[Generated]:
        """Completions in the order in which they finish.

        When the device's memory does not suffice, the number of rows at once is halved and what is
        not finished begins again. Raises `EngineError` when not even one row fits.
        """
        waiting = list(range(len(requests)))
        while waiting:
            finished: set[int] = set()
            try:
                for generated in self._all([requests[index] for index in waiting], limits):
                    finished.add(waiting[generated.request])
                    yield replace(generated, request=waiting[generated.request])
            except torch.OutOfMemoryError as error:
                self._halve(error)
            waiting = [index for index in waiting if index not in finished]

    def _halve(self, error: Exception) -> None:
        if self.batch_size == 1:
            raise EngineError(
                "the device's memory does not suffice for a single completion; choose a smaller "
                "base model or lower language_model.max_prompt_tokens"
            ) from error
        self.batch_size //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        log.warning(
            "out of memory on the device: going on with %d completions at once; "
            "set language_model.batch_size to that to begin so",
            self.batch_size,
        )

    @torch.inference_mode()
    def _all(self, requests: Sequence[Request], limits: Limits) -> Iterator[Generated]:
        order = sorted(range(len(requests)), key=lambda index: requests[index].tokens)
        plan = plan_prefixes([requests[index].tokens for index in order])
        widest = max(
            len(requests[index].tokens) - plan.lengths[group]
            for index, group in zip(order, plan.groups, strict=True)
        )
        count = min(self.batch_size, len(order))
        slots = Slots(
            self._model.config.num_hidden_layers, count, widest + limits.max_new_tokens + 16
        )
        self.counts.prompt_tokens += sum(len(request.tokens) for request in requests)
        root = self._prefix(requests[order[0]].tokens[: plan.root], None)
        prefixes = {_ROOT: root} if root is not None else {}
        waiting = [
            (index, group if plan.lengths[group] > plan.root else _ROOT)
            for index, group in zip(order, plan.groups, strict=True)
        ][::-1]
        rows: list[_Row] = []
        while rows or waiting:
            free = count - len(rows)
            if waiting and (not rows or 4 * free >= count):
                new = [waiting.pop() for _ in range(min(free, len(waiting)))]
                self._admit(new, requests, plan.lengths, prefixes, slots, rows, limits)
            else:
                self._decode(rows, prefixes, slots, limits)
            yield from self._leave(rows, slots, limits)
            wanted = {row.prefix for row in rows} | {key for _, key in waiting[-1:]} | {_ROOT}
            for key in set(prefixes) - wanted:
                del prefixes[key]

    def _admit(
        self,
        new: Sequence[tuple[int, int]],
        requests: Sequence[Request],
        lengths: Sequence[int],
        prefixes: dict[int, Prefix],
        slots: Slots,
        rows: list[_Row],
        limits: Limits,
    ) -> None:
        """Compute the prompts of `new` (request, key of its prefix); choose their first tokens."""
        by_prefix: dict[int, list[int]] = {}
        for index, key in new:
            by_prefix.setdefault(key, []).append(index)
        for key, members in by_prefix.items():
            if key != _ROOT and key not in prefixes:
                tokens = requests[members[0]].tokens[: lengths[key]]
                prefixes[key] = self._prefix(tokens, prefixes.get(_ROOT))  # type: ignore[assignment]
            prefix = prefixes.get(key)
            before = prefix.length if prefix is not None else 0
            for part in _by_tokens(members, [len(requests[i].tokens) - before for i in members]):
                tails = [requests[index].tokens[before:] for index in part]
                done = PrefillPass(Packing([len(tail) for tail in tails], self._device), prefix)
                ends = done.packing.starts + torch.tensor([len(tail) for tail in tails]) - 1
                logits = self._forward(
                    [token for tail in tails for token in tail],
                    [before + position for tail in tails for position in range(len(tail))],
                    done,
                    ends,
                )
                slots.fill(len(rows), done.keys, done.values)
                started = [
                    _Row(
                        index,
                        requests[index].seed,
                        key,
                        before,
                        self._constraint(requests[index]),
                        len(tail),
                    )
                    for index, tail in zip(part, tails, strict=True)
                ]
                self.counts.computed_prompt_tokens += sum(map(len, tails))
                self._choose(started, [() for _ in started], logits, limits)
                rows += started

    def _constraint(self, request: Request) -> Constraint:
        return Constraint(self._grammars, request.grammar, request.scale, open_end=request.open_end)

    def _prefix(self, tokens: Sequence[int], parent: Prefix | None) -> Prefix | None:
        before = parent.length if parent is not None else 0
        own = tokens[before:]
        if not own:
            return parent
        done = PrefillPass(Packing([len(own)], self._device), parent)
        self._forward(
            list(own), list(range(before, before + len(own))), done, torch.tensor([len(own) - 1])
        )
        self.counts.computed_prompt_tokens += len(own)
        keys, values = [k[0] for k in done.keys], [v[0] for v in done.values]
        if parent is not None:
            keys = [torch.cat(pair, dim=1) for pair in zip(parent.keys, keys, strict=True)]
            values = [torch.cat(pair, dim=1) for pair in zip(parent.values, values, strict=True)]
        return Prefix(keys, values)

    def _decode(
        self, rows: list[_Row], prefixes: dict[int, Prefix], slots: Slots, limits: Limits
    ) -> None:
        room = limits.max_new_tokens
        drafts = [row.constraint.draft()[: room - len(row.generated) - 1] for row in rows]
        packing = Packing([1 + len(draft) for draft in drafts], self._device)
        used = sorted({row.prefix for row in rows} & set(prefixes))
        step = DecodePass(
            slots,
            packing,
            [row.position for row in rows],
            [prefixes[key] for key in used],
            [used.index(row.prefix) if row.prefix in used else -1 for row in rows],
            self._device,
        )
        tokens = [
            token
            for row, draft in zip(rows, drafts, strict=True)
            for token in (row.generated[-1], *draft)
        ]
        positions = [
            row.before + row.position + offset
            for row, draft in zip(rows, drafts, strict=True)
            for offset in range(1 + len(draft))
        ]
        logits = self._forward(tokens, positions, step, None)
        self.counts.decoded_tokens += len(tokens)
        self._choose(rows, drafts, logits, limits)

    def _choose(
        self,
        rows: Sequence[_Row],
        drafts: Sequence[Sequence[int]],
        logits: Tensor,
        limits: Limits,
    ) -> None:
        """Extend every row by the drafted tokens that the model agrees to, and one more."""
        mask = xgr.allocate_token_bitmask(logits.shape[0], self._grammars.vocab_size)
        constrained: list[int] = []
        streams: list[tuple[int, int]] = []
        for row, draft in zip(rows, drafts, strict=True):
            first = len(streams)
            constrained += range(first, first + row.constraint.fill(mask, first, draft))
            written = len(row.generated)
            streams += [(row.seed, written + offset) for offset in range(1 + len(draft))]
        chosen = choose(logits, mask, constrained, limits.temperature, streams)
        kept = logprobs(logits, chosen, limits.temperature) if limits.keep_logprobs else None
        at = 0
        for row, draft in zip(rows, drafts, strict=True):
            fed = 1 if row.generated else 0
            for offset in range(1 + len(draft)):
                token = chosen[at + offset]
                row.constraint.accept(token, logits[at + offset])
                row.generated.append(token)
                if kept is not None:
                    row.logprobs.append(kept[at + offset])
                row.finished = token == limits.end_token or self._stops(row.generated, limits)
                self.counts.kept_tokens += 1
                if row.constraint.over and len(row.generated) < limits.max_new_tokens:
                    row.end(limits)
                agreed = offset < len(draft) and token == draft[offset]
                if not agreed or row.ended(limits):
                    break
                fed += 1
            row.position += fed
            at += 1 + len(draft)

    def _stops(self, tokens: Sequence[int], limits: Limits) -> bool:
        if not limits.stop:
            return False
        text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return any(stop in text for stop in limits.stop)

    def _leave(self, rows: list[_Row], slots: Slots, limits: Limits) -> Iterator[Generated]:
        """Take finished rows out; the last row moves into the free slot."""
        for position in range(len(rows) - 1, -1, -1):
            row = rows[position]
            if not row.ended(limits):
                continue
            last = rows.pop()
            if last is not row:
                rows[position] = last
                slots.move(len(rows), position)
            yield Generated(
                row.request,
                tuple(row.generated),
                row.constraint.constrained,
                row.finished,
                row.constraint.scale,
                tuple(row.logprobs) if limits.keep_logprobs else None,
            )

    def _forward(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        step: PrefillPass | DecodePass,
        wanted: Tensor | None,
    ) -> Tensor:
        """Logits (wanted tokens, vocabulary) in float32; all tokens where `wanted` is None."""
        self.counts.passes += 1
        device = self._device
        output = self._model(
            input_ids=torch.tensor([tokens], device=device),
            position_ids=torch.tensor([positions], device=device),
            use_cache=False,
            logits_to_keep=0 if wanted is None else wanted.to(device),
            curec_pass=step,
        )
        return output.logits[0].float()

    @property
    def _device(self) -> torch.device:
        device: torch.device = self._model.device
        return device


def _by_tokens(members: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Parts of `members` of at most `_PREFILL_TOKENS` padded tokens, or a single one."""
    part: list[int] = []
    width = 0
    for member, length in zip(members, lengths, strict=True):
        width = max(width, length)
        if part and width * (len(part) + 1) > _PREFILL_TOKENS:
            yield part
            part, width = [], length
        part.append(member)
    yield part


def _require_plain_attention(config: Any) -> None:
    """Every layer must attend to everything before it."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    for name, found in (
        ("layer_types", kinds if kinds != {"full_attention"} else None),
        ("attn_logit_softcapping", getattr(config, "attn_logit_softcapping", None)),
    ):
        if found:
            raise EngineError(
                f"base model of type {config.model_type!r} has {name} = {found!r}, which the "
                "transformers engine of CURec does not run; set language_model.engine to 'vllm' or "
                "choose a model with full attention in every layer"
            )
