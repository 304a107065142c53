"""The contract with the app as data, and the clients' data classes, which are generated from it."""
