"""The Realtime Database through firebase-admin: one adapter, for the functions and for the trainer.

It knows ``bookrec`` and Google's client, and nothing of who uses it.
"""
