"""The contract with the app as data, and the data classes of its clients, which are made from it."""
