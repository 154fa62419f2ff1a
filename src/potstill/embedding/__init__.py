"""Students of features: what a student is taught by backbones, and how good its features are."""
