"""What one million reasons would cost on one H100 with a model of 4 billion parameters: arithmetic.

Nothing here was run on a GPU. Inputs are constants with their source, assumptions named as such,
and the token counts that `make bench-speed-tokens` measured. `page` makes the section of
docs/speed.md; `python -m benchmarks.million_reasons` prints it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import token_names as names
from benchmarks.harness import SPEED, Record, read_records

REASONS = 1_000_000

# Qwen3-4B: its config.json as public code quotes it; the hub could not be reached.
LAYERS, HIDDEN, INTERMEDIATE, VOCABULARY = 36, 2560, 9728, 151_936
HEADS, KV_HEADS, HEAD_DIM = 32, 8, 128
BYTES = 2  # bf16

# H100 SXM (NVIDIA's data sheet; dense, not sparse).
PEAK_FLOPS, BANDWIDTH, MEMORY = 989e12, 3.35e12, 80e9

# Assumptions.
PREFILL_FRACTION = 0.4  # of peak FLOP/s, reached in prefill
DECODE_FRACTION = 0.6  # of peak bandwidth, reached in decoding
MEMORY_FRACTION = 0.9  # of memory, given to the engine
OVERHEAD = 4e9  # bytes: activations, CUDA graphs
MOST_ROWS = 1024  # rows decoded at once, whatever the memory
CANDIDATES_PER_USER = 10
DOLLARS_PER_HOUR = 3.0


@dataclass(frozen=True)
class Tokens:
    """Per reason."""

    prompt: float
    shared: float
    """Of the prompt: the beginning that all candidates of a user have in common."""
    completion: float
    free: float
    """Of the completion: tokens that the grammar leaves free."""
    attempts: float
    """Reasons written per reason kept."""

    @classmethod
    def measured(cls, records: Sequence[Record]) -> "Tokens | None":
        """From the records of `make bench-speed-tokens`; None before there are any."""
        found = {r.name: r.value for r in records if r.command == names.COMMAND}
        if not found:
            return None
        prompt, shared, completion, free = (
            found[f"{names.CANDIDATES}: {what}"]
            for what in (names.PROMPT, names.SHARED, names.COMPLETION, names.FREE)
        )
        return cls(prompt, shared, completion, free, found[names.ATTEMPTS])


@dataclass(frozen=True)
class Line:
    """One step of the arithmetic."""

    what: str
    how: str
    value: float
    unit: str


def per_layer() -> int:
    """Weights of a decoder layer: query, key, value, output; gate, up, down."""
    attention = HIDDEN * HEAD_DIM * (2 * HEADS + 2 * KV_HEADS)
    return attention + 3 * HIDDEN * INTERMEDIATE


def arithmetic(tokens: Tokens, *, sharing: bool = True) -> list[Line]:
    """Every step from the inputs to hours and dollars; the last two lines are these."""
    decoder = LAYERS * per_layer()
    weights = BYTES * (decoder + VOCABULARY * HIDDEN)
    kv = BYTES * 2 * LAYERS * KV_HEADS * HEAD_DIM
    written = REASONS * tokens.attempts
    own = tokens.prompt - tokens.shared if sharing else tokens.prompt
    once = tokens.shared / CANDIDATES_PER_USER if sharing else 0.0
    prefilled = written * own + REASONS * once
    linear = 2.0 * decoder * prefilled
    attention = 4.0 * LAYERS * HEADS * HEAD_DIM * prefilled * (tokens.prompt / 2)
    logits = 2.0 * VOCABULARY * HIDDEN * written
    prefill = (linear + attention + logits) / (PEAK_FLOPS * PREFILL_FRACTION)
    room = MEMORY * MEMORY_FRACTION - weights - OVERHEAD
    per_row = kv * (own + once + tokens.completion)
    rows = min(MOST_ROWS, int(room / per_row))
    context = tokens.prompt + tokens.completion / 2
    read = weights + rows * kv * context
    step = read / (BANDWIDTH * DECODE_FRACTION)
    step_flops = 2.0 * (decoder + VOCABULARY * HIDDEN) * rows / (PEAK_FLOPS * PREFILL_FRACTION)
    steps = written * tokens.completion / rows
    decode = steps * max(step, step_flops)
    hours = (prefill + decode) / 3600
    return [
        Line("decoder weights", f"{LAYERS} layers × {per_layer():,}", decoder / 1e9, "billion"),
        Line("all weights", "bf16, tied embeddings counted once", weights / 1e9, "GB"),
        Line(
            "keys and values of a token",
            f"2 × {LAYERS} × {KV_HEADS} × {HEAD_DIM} × {BYTES} bytes",
            kv / 1e3,
            "kB",
        ),
        Line("texts written", f"10⁶ × {tokens.attempts:.2f} attempts", written / 1e6, "million"),
        Line(
            "prompt tokens computed",
            f"each text {own:.0f}, each user {once * CANDIDATES_PER_USER:.0f} once",
            prefilled / 1e6,
            "million",
        ),
        Line("prefill, linear layers", "2 × decoder weights × tokens", linear / 1e15, "PFLOP"),
        Line(
            "prefill, attention",
            f"4 × {LAYERS} × {HEADS} × {HEAD_DIM} × tokens × half the prompt",
            attention / 1e15,
            "PFLOP",
        ),
        Line("logits after the prompt", "2 × vocabulary × hidden × texts", logits / 1e15, "PFLOP"),
        Line(
            "prefill",
            f"at {PREFILL_FRACTION:.0%} of {PEAK_FLOPS / 1e12:.0f} TFLOP/s",
            prefill / 3600,
            "h",
        ),
        Line(
            "memory for keys and values",
            f"{MEMORY_FRACTION:.0%} of {MEMORY / 1e9:.0f} GB − weights − {OVERHEAD / 1e9:.0f} GB",
            room / 1e9,
            "GB",
        ),
        Line(
            "rows decoded at once",
            f"memory / keys and values of a row, at most {MOST_ROWS}",
            rows,
            "",
        ),
        Line("read per step", "weights + rows × keys and values so far", read / 1e9, "GB"),
        Line(
            "a step",
            f"the longer of: reading at {DECODE_FRACTION:.0%} of {BANDWIDTH / 1e12:.2f} TB/s "
            f"({step * 1e3:.1f} ms), computing at {PREFILL_FRACTION:.0%} "
            f"({step_flops * 1e3:.1f} ms)",
            max(step, step_flops) * 1e3,
            "ms",
        ),
        Line("steps", f"texts × {tokens.completion:.1f} tokens / rows", steps / 1e3, "thousand"),
        Line("decoding", "steps × a step", decode / 3600, "h"),
        Line("**one million reasons**", "prefill + decoding", hours, "h"),
        Line("**cost**", f"at {DOLLARS_PER_HOUR:g} $ per GPU hour", hours * DOLLARS_PER_HOUR, "$"),
    ]


def page(records: Sequence[Record]) -> str:
    """The section's tables, in Markdown."""
    tokens = Tokens.measured(records)
    if tokens is None:
        return "*Token counts not measured yet.*\n"
    hours, alone = (arithmetic(tokens, sharing=sharing)[-2].value for sharing in (True, False))
    lines = [
        "| step | how | value |",
        "|---|---|---|",
        *(
            f"| {line.what} | {line.how} | {f'{_number(line.value)} {line.unit}'.strip()} |"
            for line in arithmetic(tokens)
        ),
        "",
        f"Cost = {_number(hours)} h × price of an hour. Without sharing the user's part of the "
        f"prompt: {_number(alone)} h.",
        "",
        "| assumption | value | confirmed? |",
        "|---|---|---|",
        f"| prompt | {tokens.prompt:.0f} tokens | measured on CPU, prompt of the `gpu` profile, "
        "SmolLM2's tokenizer; Qwen3's counts differ |",
        f"| shared by a user's candidates | {tokens.shared:.0f} tokens "
        f"({tokens.shared / tokens.prompt:.0%}) | measured on CPU |",
        f"| completion | {tokens.completion:.1f} tokens, of which "
        f"{tokens.completion - tokens.free:.1f} evidence under the grammar and {tokens.free:.1f} "
        "free | measured on CPU, with the 135M policy's reasons |",
        f"| attempts per reason | {tokens.attempts:.2f} | measured on CPU, with the 135M policy; a "
        "larger model should need fewer |",
        f"| candidates per user | {CANDIDATES_PER_USER} | assumed |",
        f"| fraction of peak FLOP/s in prefill | {PREFILL_FRACTION:.0%} | assumed |",
        f"| fraction of bandwidth in decoding | {DECODE_FRACTION:.0%} | assumed; the cost of the "
        "grammar's masks is in it |",
        f"| rows at once | at most {MOST_ROWS} | assumed |",
        f"| price | {DOLLARS_PER_HOUR:g} $ per hour | assumed; clouds ask very different prices |",
        "| forced text in one pass, shared keys read once | no | not counted: would be less |",
        "| notes, loading, idle ends of batches | no | not counted: would be more |",
    ]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    print(page(read_records(SPEED)))
