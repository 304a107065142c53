"""Fitting: the TensorFlow Recommenders model, EASE with metadata, the reranker, and the choices made on validation.

``fit.py`` is the page to begin with; all else here is one of its steps.
"""
