"""One module per command: ``add_parser`` declares it, ``run`` runs it."""
