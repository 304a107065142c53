"""The one form in which a fitted model is served, and what is exported from it: arrays, TensorFlow graph, TFLite files.

``item_item.py`` is the form itself; ``batch/`` makes all readers' lists with it.
"""
