"""What each profile sets; everything else has the default of its field in `settings.py`."""

from typing import Any

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
        "reasons": {"users": 6, "rounds": 2},
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
            "reason_examples": 200,
            "verdict_examples": 16,
            "note_examples": 24,
            "batch_size": 4,
            "lora_first_layer": 8,
        },
        "reward": {"draft_train": 64, "draft_validation": 48, "gate_blocks": False},
        "policy": {"steps": 5, "prompts_per_step": 2, "generations": 8},
        "reasons": {"users": 32, "rounds": 3},
        "encoder": {"source": "all-minilm-l6-v2"},
        "recommender": {"recommended_users": 8},
    },
    "benchmark": {
        "data": {"source": "movielens-100k"},
        "language_model": {"base": "smollm2-135m"},
        "alignment": {
            "reason_examples": 1200,
            "verdict_examples": 300,
            "note_examples": 300,
        },
        "reward": {"draft_train": 3000, "draft_validation": 1000, "gate_blocks": True},
        "policy": {"steps": 100, "prompts_per_step": 4, "generations": 8},
        "reasons": {"users": 300, "rounds": 20},
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
        "reasons": {"users": 943, "rounds": 100},
        "encoder": {"source": "all-minilm-l6-v2", "batch_size": 512},
        "recommender": {"epochs": 5, "recommended_users": 943},
    },
}
