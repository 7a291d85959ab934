"""An example: accounts, payments and mailings."""
