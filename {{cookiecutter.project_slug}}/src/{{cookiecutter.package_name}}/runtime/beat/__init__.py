"""Beat: its schedulers, their settings, and a clean stop."""
