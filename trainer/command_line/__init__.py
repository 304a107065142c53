"""The building blocks of all commands: options, exit codes, error messages, progress, connections to the services."""
