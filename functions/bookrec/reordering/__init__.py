"""Changes the order of a reader's candidates before a list is made of them: each module is one way to do so."""
