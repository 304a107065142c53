"""The reranker, on examples with a known answer."""

from dataclasses import replace

import numpy as np

from trainer.config import DEFAULTS
from trainer.model.reranker import Examples, Networks, choose_epochs


def test_the_reranker_learns_what_the_blend_does_not_say():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 30, 3)).astype(np.float32)
    labels = np.zeros((200, 30), np.float32)
    np.put_along_axis(labels, features[:, :, 1].argmax(axis=1)[:, None], 1, axis=1)
    blend = rng.normal(size=(200, 30)).astype(np.float32)
    readers = np.arange(200, dtype=np.int32)
    found = Examples(readers, features, blend, labels, np.ones(200))
    networks = Networks(DEFAULTS)
    epochs, figures = choose_epochs([found], networks)
    assert epochs > 0
    assert figures[epochs] > figures[0] + 0.3
    noise = replace(found, features=rng.normal(size=features.shape).astype(np.float32), blend=labels + 0.1 * blend)
    assert choose_epochs([noise], networks)[0] == 0
