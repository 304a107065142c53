"""Security rules: the language, and what they allow."""
