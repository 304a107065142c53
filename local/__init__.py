"""The whole product on one machine: the Emulator Suite, Cloud Storage, the pages, and a reader who uses them."""
