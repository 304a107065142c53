"""The whole product on one machine: the Emulator Suite, Cloud Storage, and a reader to drive them."""
