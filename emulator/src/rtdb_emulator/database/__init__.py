"""A database: a tree with its security rules, the listeners that are told of writes, and who reads and writes.

``databases`` is the entrance; ``snapshots`` keeps what databases hold in a folder.
"""
