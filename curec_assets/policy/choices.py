"""What the tokens of a rollout were chosen among, and how probable they are there.

Under a grammar the sampler draws from the softmax over the allowed tokens alone. So a token that
chose (a handle, a level) is an action whose probability is taken over what was allowed; a free one
is taken over the whole vocabulary; a forced one carries no choice and has no probability to learn.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from resources.generation.protocol import Completion

Choice = tuple[int, ...] | None
"""The tokens that were allowed; None where all were, empty where the text was forced."""


def choices_of(completion: Completion) -> tuple[Choice, ...]:
    """Per token of a completion that was written with `Sampling.keep_allowed`."""
    return tuple(
        among if held else None
        for held, among in zip(completion.constrained, completion.allowed, strict=True)
    )


def log_probabilities(
    logits: Tensor, tokens: Tensor, choices: Sequence[Choice], temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Log-probability of each token among its choices, and the entropy of that choice, in nats.

    `logits`: (n, vocabulary); `tokens`: (n,). Both results: (n,), float32, 0 where the token was
    forced. The entropy carries no gradient.
    """
    device = logits.device
    free = [row for row, among in enumerate(choices) if among is None]
    chosen = [row for row, among in enumerate(choices) if among]
    among = [choices[row] or () for row in chosen]
    width = max(map(len, among), default=1)
    filled = [ids + ids[-1:] * (width - len(ids)) for ids in among]
    allowed = torch.tensor(filled, dtype=torch.long, device=device).reshape(-1, width)
    spare = torch.tensor(
        [[place >= len(ids) for place in range(width)] for ids in among],
        dtype=torch.bool,
        device=device,
    ).reshape(-1, width)

    logps = torch.zeros(len(choices), device=device)
    entropies = torch.zeros(len(choices), device=device)
    for rows, scores, taken in (
        # (free, vocabulary)
        (free, logits[free].float(), tokens[free].unsqueeze(1)),
        # (chosen, width)
        (
            chosen,
            logits[torch.tensor(chosen, dtype=torch.long, device=device).unsqueeze(1), allowed]
            .float()
            .masked_fill(spare, -torch.inf),
            (allowed == tokens[chosen].unsqueeze(1)).int().argmax(dim=1, keepdim=True),
        ),
    ):
        index = torch.tensor(rows, dtype=torch.long, device=device)
        scaled = scores / temperature
        whole = scaled.logsumexp(dim=1)
        logps = logps.index_copy(0, index, scaled.gather(1, taken).squeeze(1) - whole)
        with torch.no_grad():
            shares = (scaled - whole.unsqueeze(1)).exp()
            mean = (shares * scaled).nan_to_num(nan=0.0).sum(dim=1)  # 0 · -inf where forbidden
            entropies.index_copy_(0, index, whole - mean)
    return logps, entropies
