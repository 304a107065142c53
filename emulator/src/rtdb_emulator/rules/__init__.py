"""Security rules: the file, its expression language, and what they allow.

``parser`` turns a file into a ``ruleset``, which ``database`` asks before each read and write.
"""
