"""What is injected into the assets: storage, models, downloads. Each module is one resource."""

import os

# TRL tells its makers of every training, MLflow of every use. huggingface_hub, by which TRL does,
# reads this on being imported; whoever wants to be counted sets it to 0.
os.environ.setdefault("DO_NOT_TRACK", "1")
