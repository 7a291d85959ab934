"""How settings are read, checked and refused."""
