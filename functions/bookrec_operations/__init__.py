"""What an operator does: one use case each, for the callable functions and for the trainer's commands.

They know ``bookrec`` and the small protocols of ``ports``; no service, no SDK.
"""
