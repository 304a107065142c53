"""Grids that are tuned over in seconds."""

import pytest

from trainer.evaluation import baselines


@pytest.fixture
def small_grids(monkeypatch):
    grids = {
        "KNN": ({"k": (5, 10), "shrink": (0,)},),
        "RP3BETA": ({"k": (10,), "alpha": (1,), "beta": (0.2, 0.4), "by_target": (1,)},),
        "IALS": ({"factors": (4,), "unobserved": (0.1,), "regularisation": (0.01, 0.1), "frequency": (1,)},),
        "ELSA": ({"dims": (8,), "epochs": (1, 2)},),
        "SLIM": ({"k": (5,), "l1": (1, 0.1), "l2": (1,)},),
        "BPR": ({"factors": (4,), "rate": (0.01,), "regularisation": (0.01, 0.1)},),
        "EASE": ({"regularisation": (10, 100)},),
        "CEASE": ({"regularisation": (10,), "feature_weight": (1, 3)},),
    }
    for name, stages in grids.items():
        monkeypatch.setattr(baselines, name, stages)
