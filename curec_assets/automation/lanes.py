"""Which asset belongs to which lane. Every asset is in exactly one of the four."""

INGEST = ("events", "quarantine", "raw_items")
"""Read from outside: by the source sensor, or by hand."""

FAST = (
    "batches",
    "items",
    "interactions",
    "generated_reasons",
    "recommendation_reasons",
    "live_reasons",
    "item_embeddings",
    "reason_embeddings",
    "serving_evidence",
    "baseline_recommenders",
    "recommender",
    "recommender_ranking",
    "recommender_evaluation",
    "recommendations",
    "quality_report",
)
"""Follow their upstream by themselves, through an automation condition."""

SLOW = (
    "training_snapshot",
    "event_splits",
    "evidence_numbers",
    "evidence_model",
    "event_evidence",
    "alignment_corpus",
    "aligned_llm",
    "draft_reasons",
    "reward_model",
    "reason_policy",
    "policy_archive",
)
"""Made by `retrain` only, so that new data alone never retrains a language model. The evidence of
the snapshot is among them: a corpus must not be made from the evidence of another snapshot."""

REFIT = ("serving_snapshot",)
"""Renewed by `refit` and `retrain`: what follows it is the recommender, and no language model."""

FITTED = (
    "evidence_model",
    "aligned_llm",
    "reward_model",
    "reason_policy",
    "baseline_recommenders",
    "recommender",
    "recommender_ranking",
)
"""Models: what a user who is forgotten stays in until they are fitted again."""

ON_DEVICE = (
    "aligned_llm",
    "draft_reasons",
    "reward_model",
    "reason_policy",
    "generated_reasons",
    "live_reasons",
    "item_embeddings",
    "reason_embeddings",
    "recommender",
    "recommender_ranking",
    "recommendations",
)
"""Compute on the accelerator, one at a time; all others write the warehouse, one at a time."""
