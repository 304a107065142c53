"""What changes the order of a reader's candidates before a list is made of them, one idea a module."""
