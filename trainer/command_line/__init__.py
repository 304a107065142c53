"""What all commands are made of: options, exit codes, error messages, progress, and connections to the services."""
