"""Migrations of the mailings."""
