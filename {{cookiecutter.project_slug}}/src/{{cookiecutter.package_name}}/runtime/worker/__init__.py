"""The worker: start-up checks, handling of messages, pools and the liveness file."""
