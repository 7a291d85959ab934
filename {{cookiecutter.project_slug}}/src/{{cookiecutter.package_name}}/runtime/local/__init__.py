"""A developer's machine: the processes of the Procfile, and the server that they need."""
