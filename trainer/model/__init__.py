"""Fitting: the TensorFlow Recommenders model, EASE with metadata, the reranker, and the choices made on validation.

Start with ``fit.py``; the other modules are its steps.
"""
