"""What is measured, and how each number is defined.

- AUC: chance that a random liked event scores above a random disliked one; ties count half.
- GAUC: AUC within each user who has both kinds, averaged with the users' numbers of events.
- LogLoss: mean of -log p(outcome), natural logarithm, p kept inside [1e-7, 1 - 1e-7].
- ECE: mean over events of |mean probability - share liked| of the event's bin, bins of equal width.
  Few events show some of it by chance: see `ece_if_calibrated`.
- rank: place of the liked item in the whole catalogue minus what the user had seen; an item tied
  with others gets its expected place under a random order of the tied.
- HR@10: share of ranks ≤ 10. NDCG@10: mean of 1/log2(1 + rank), 0 beyond 10 (one relevant item).
  MRR: mean of 1/rank.
"""

import numpy as np

CUTOFF = 10
BINS = 10
"""Of probabilities, in ECE and reliability pictures."""
_CLIP = 1e-7


def auc(liked: np.ndarray, scores: np.ndarray) -> float:
    """AUC; NaN unless both outcomes occur."""
    from sklearn.metrics import roc_auc_score

    if liked.all() or not liked.any():
        return float("nan")
    return float(roc_auc_score(liked, scores))


def log_losses(liked: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """-log p(outcome) of each event."""
    clipped = np.clip(probabilities.astype(np.float64), _CLIP, 1 - _CLIP)
    return -np.log(np.where(liked, clipped, 1 - clipped))


def hit(ranks: np.ndarray) -> np.ndarray:
    """1 where the rank is at most `CUTOFF`."""
    return (ranks <= CUTOFF).astype(np.float64)


def ndcg(ranks: np.ndarray) -> np.ndarray:
    """1/log2(1 + rank) where the rank is at most `CUTOFF`, else 0."""
    return hit(ranks) / np.log2(1 + ranks)


def reciprocal(ranks: np.ndarray) -> np.ndarray:
    """1/rank."""
    return 1.0 / ranks


def gauc(users: np.ndarray, liked: np.ndarray, scores: np.ndarray) -> float:
    """GAUC; NaN when no user has both outcomes."""
    total = weight = 0.0
    order = np.argsort(users, kind="stable")
    for own in np.split(order, np.flatnonzero(users[order][1:] != users[order][:-1]) + 1):
        if liked[own].any() and not liked[own].all():
            total += len(own) * auc(liked[own], scores[own])
            weight += len(own)
    return total / weight if weight else float("nan")


def bin_of(probabilities: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Number of the bin of each probability; bins are of equal width."""
    found: np.ndarray = np.minimum((probabilities * bins).astype(int), bins - 1)
    return found


def reliability(
    liked: np.ndarray, probabilities: np.ndarray, bins: int = BINS
) -> list[dict[str, float]]:
    """Mean probability, share liked and number of events of each bin that has any."""
    place = bin_of(probabilities, bins)
    return [
        {
            "probability": float(probabilities[place == number].mean()),
            "liked": float(liked[place == number].mean()),
            "events": int((place == number).sum()),
        }
        for number in range(bins)
        if (place == number).any()
    ]


def expected_calibration_error(
    liked: np.ndarray, probabilities: np.ndarray, bins: int = BINS
) -> float:
    """ECE; NaN without events."""
    if not len(liked):
        return float("nan")
    found = reliability(liked, probabilities, bins)
    gaps = sum(each["events"] * abs(each["probability"] - each["liked"]) for each in found)
    return gaps / len(liked)


def ece_if_calibrated(
    probabilities: np.ndarray, random: np.random.Generator, draws: int = 200
) -> float:
    """Mean ECE of outcomes drawn by the probabilities themselves: what so many events show of a
    forecast that is right (consistency resampling, Bröcker and Smith, 2007). NaN without events.
    """
    found = [
        expected_calibration_error(random.random(len(probabilities)) < probabilities, probabilities)
        for _ in range(draws)
    ]
    return float(np.mean(found))
