"""Writers that turn the contract into data classes: one for each language."""
