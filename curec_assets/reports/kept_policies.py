"""The policies that a home holds, as text for a terminal."""

from collections.abc import Mapping
from pathlib import Path

from curec_assets.policy.archive import (
    ARCHIVE,
    members,
    present_members,
    unfinished_switch,
)
from curec_assets.reports.outcome import text_table
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

_HEADER = ["policy", "made", "events", "evidence LogLoss", "gate", "reward", "state"]
_DIGITS = 8  # of a fingerprint, where it is only to be recognised
_BELONGING = ("training_snapshot", "evidence_model", "aligned_llm", "reward_model", "reason_policy")


def kept_policies(warehouse: Warehouse, store: ModelStore) -> str:
    """Each policy that can be taken up again: measures, what belongs to it, which is current."""
    archives = store.versions(ARCHIVE)
    if not archives:
        return (
            "No policy is kept yet: `retrain` ends with `policy_archive`, which keeps one. For "
            "models of before, materialise `policy_archive`."
        )
    present = present_members(warehouse, store)
    current = [each for each in archives if members(each) == present]
    rows = [_row(each, store, current=each in current) for each in archives]
    parts = [
        [each.fingerprint, *(members(each)[name][0][:_DIGITS] for name in _BELONGING)]
        for each in archives
    ]
    text = f"{text_table(_HEADER, rows)}\n\n{text_table(['policy', *_BELONGING], parts)}"
    unfinished = unfinished_switch(Path(store.root))
    if unfinished:
        text += f"\n\n`curec use-policy {unfinished}` was interrupted; give it again."
    elif not current:
        text += (
            "\n\nThe present models and tables are no kept policy: `retrain` is going on, did not "
            "come to its end, or is older than `policy_archive`."
        )
    return text


def _row(archive: Manifest, store: ModelStore, *, current: bool) -> list[str]:
    from curec_assets.reward.gate import stored_gate

    models = _models(archive, store)
    missing = [name for name in _BELONGING[1:] if name not in models]
    state = ["current"] if current else []
    state += ["pinned"] if store.is_pinned(ARCHIVE, archive.fingerprint) else []
    state += [f"lacks {', '.join(missing)}"] if missing else []
    gate, rewards, loss = "-", "-", "-"
    if "reward_model" in models:
        gate = "passed" if stored_gate(models["reward_model"]).passed else "failed"
    if "reason_policy" in models:
        steps = models["reason_policy"].metrics["reward"]
        rewards = f"{steps[0]:+.3f} to {steps[-1]:+.3f}"
    if "evidence_model" in models:
        loss = f"{models['evidence_model'].metrics['test']['LogLoss']:.3f}"
    return [
        archive.fingerprint,
        f"{archive.created_at:%Y-%m-%d %H:%M}",
        f"{archive.metrics['events']:,}",
        loss,
        gate,
        rewards,
        ", ".join(state),
    ]


def _models(archive: Manifest, store: ModelStore) -> Mapping[str, Manifest]:
    """Name → manifest of those models of an archived policy that are still in the store."""
    wanted = members(archive)
    return {
        name: each
        for name in _BELONGING[1:]
        for each in store.versions(name)
        if each.fingerprint == wanted[name][0]
    }
