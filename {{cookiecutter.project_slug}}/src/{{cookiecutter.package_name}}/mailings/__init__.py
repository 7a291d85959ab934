"""Mailings: a text that goes to many recipients, once to each of them."""
