"""Judges a model: held-out entries, baselines, the cold-start curve, the gate, and the report for people."""
