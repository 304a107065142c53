"""From the contract to data classes: one writer a language."""
