"""A model from retraining to rollback: when to train, the lease, the manifest, the pointer, an experiment."""
