"""Mailings: a text that goes to many, each of whom gets it once."""
