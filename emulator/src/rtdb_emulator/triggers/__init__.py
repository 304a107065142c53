"""Functions that wait for writes: which places of a write they are called for, the events, and their delivery.

``delivery`` is the entrance: a subscriber of the databases.
"""
