"""Fitting: the TensorFlow Recommenders model, the local ridge, the reranker, and the choices made on validation.

Start with ``fit.py``; the other modules are its steps.
"""
