"""The protocols: REST, server-sent events, and the client SDKs' connection by WebSocket or long polling.

``server`` decides who answers which request.
"""
