"""The jobs: everything, the fast lane, the recommender on newer events, the slow lane."""

import dagster as dg

from curec_assets.automation.lanes import FAST, INGEST, REFIT, SLOW

everything = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all(),
    description="Every asset of both lanes: from raw data to recommendations with reasons.",
)

refresh = dg.define_asset_job(
    "refresh",
    selection=dg.AssetSelection.assets(*INGEST, *FAST),
    description="Fast lane: ingest new data, write reasons under the current policy, serve with "
    "fresh evidence. Never trains a language model, nor the recommender on newer events.",
)

refit = dg.define_asset_job(
    "refit",
    selection=dg.AssetSelection.assets(*REFIT).downstream(),
    description="The recommender and its retrievers on all events up to now: takes a new serving "
    "snapshot, and makes what follows from it. Never trains a language model, nor the evidence "
    "model that its levels are of.",
    tags={"dagster/max_retries": "2", "dagster/retry_on_asset_or_op_failure": "true"},
)

retrain = dg.define_asset_job(
    "retrain",
    selection=dg.AssetSelection.assets(*SLOW, *REFIT).upstream()
    - dg.AssetSelection.assets(*INGEST),
    description="Slow lane: take new snapshots, then teach the language model, the "
    "reward model and the policy again, and before it whatever they read, so that all is of one "
    "generation. The fast lane follows by itself.",
    tags={"dagster/max_retries": "2", "dagster/retry_on_asset_or_op_failure": "true"},
)

JOBS = (everything, refresh, refit, retrain)
