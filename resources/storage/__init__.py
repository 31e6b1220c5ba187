"""What is stored: tables, models, and the manifests that say how they came to be."""
