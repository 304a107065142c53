"""Fault injection: events that are lost, doubled or late, requests that fail, connections that are cut.

``plan`` is what can be set to go wrong; ``injector`` decides by it.
"""
