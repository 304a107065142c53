"""The data: a tree of nodes that are replaced and never changed, its keys, and its queries with their indexes.

Nothing in here knows of users, rules or connections.
"""
