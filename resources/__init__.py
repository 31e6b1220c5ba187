"""What is injected into the assets: storage, models, downloads. Each module is one resource."""
