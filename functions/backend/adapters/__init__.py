"""One module a service. The clients are imported here and nowhere else."""
