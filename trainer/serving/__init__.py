"""The served form of a fitted model, and its exports: arrays, TensorFlow graph, TFLite files.

``item_item.py`` defines that form; ``batch/`` makes all readers' lists with it.
"""
