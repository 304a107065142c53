"""The domain of the book recommender: pure functions over frozen data, shared by functions and trainer.

Nothing in this package does I/O or imports an SDK; NumPy is its only dependency.
"""
