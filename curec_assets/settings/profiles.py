"""What each profile sets; everything else has the default of its field in `settings.py`."""

from typing import Any

_ALL = 1_000_000_000  # events: more than there are

PROFILE_VALUES: dict[str, dict[str, Any]] = {
    "smoke": {
        "data": {"source": "toy"},
        "language_model": {"base": "tiny", "batch_size": 16, "max_new_tokens": 64},
        "alignment": {"reason_examples": 16, "verdict_examples": 8, "note_examples": 8},
        "reward": {
            "draft_train": 16,
            "draft_validation": 12,
            "epochs": 1,
            "dim": 8,
            "gate_blocks": False,
        },
        "policy": {"steps": 2, "prompts_per_step": 2, "generations": 2},
        "reasons": {"train_events": 8, "validation_events": 8, "test_events": 12, "run_length": 2},
        "encoder": {"source": "tiny"},
        "recommender": {
            "dim": 8,
            "epochs": 1,
            "seeds": 2,
            "recommended_users": 5,
            "bootstrap_samples": 100,
        },
    },
    "laptop": {
        "data": {"source": "movielens-100k"},
        "language_model": {"base": "smollm2-135m", "max_new_tokens": 72},
        "alignment": {
            "reason_examples": 160,
            "verdict_examples": 480,
            "note_examples": 16,
            "batch_size": 8,
            "lora_first_layer": 10,
        },
        "reward": {"draft_train": 64, "draft_validation": 48, "gate_blocks": False},
        "policy": {"steps": 5, "prompts_per_step": 2, "generations": 8},
        "reasons": {
            "train_events": 50,
            "validation_events": 130,
            "test_events": 140,
            "budget": 4,
        },
        "encoder": {"source": "all-minilm-l6-v2"},
        "recommender": {"recommended_users": 8},
    },
    "benchmark": {
        "data": {"source": "movielens-100k"},
        "language_model": {"base": "smollm2-135m"},
        "alignment": {
            "reason_examples": 600,
            "verdict_examples": 2000,
            "note_examples": 100,
        },
        "reward": {"draft_train": 500, "draft_validation": 2000, "gate_blocks": True},
        "policy": {"steps": 100, "prompts_per_step": 4, "generations": 8},
        "reasons": {"train_events": 4000, "validation_events": _ALL, "test_events": _ALL},
        "encoder": {"source": "all-minilm-l6-v2"},
        "recommender": {"epochs": 5, "recommended_users": 50},
    },
    "gpu": {
        "data": {"source": "movielens-100k"},
        "language_model": {
            "base": "HuggingFaceTB/SmolLM2-1.7B-Instruct@main",
            "batch_size": 128,
        },
        "alignment": {
            "reason_examples": 8000,
            "verdict_examples": 2000,
            "note_examples": 2000,
            "learning_rate": 2e-4,
            "batch_size": 32,
        },
        "reward": {"draft_train": 20000, "draft_validation": 4000, "gate_blocks": True},
        "policy": {
            "steps": 500,
            "prompts_per_step": 16,
            "generations": 8,
            "vllm": "colocate",
        },
        "reasons": {"train_events": _ALL, "validation_events": _ALL, "test_events": _ALL},
        "encoder": {"source": "all-minilm-l6-v2", "batch_size": 512},
        "recommender": {"epochs": 5, "recommended_users": 943},
    },
}
