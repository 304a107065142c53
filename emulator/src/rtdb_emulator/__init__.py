"""A stand-in for Google's Realtime Database emulator, in Python, without Java and without a download."""
