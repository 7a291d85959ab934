"""Tasks, one module per kind of work; a module that is here is registered by being here."""
