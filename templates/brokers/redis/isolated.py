

#: Seconds after which the tasks of a dead worker run elsewhere.
LEASE = {{ 400 if cookiecutter.pool == "solo" else 3 }}


def isolated(broker_url: str) -> dict[str, Any]:
    """Return settings for empty queues: keys get a prefix of their own."""
    options = {
        "visibility_timeout": LEASE,
        "unacked_restore_interval": 0.5,
        "global_keyprefix": f"test-{uuid.uuid4()}-",
    }
    return {"broker_url": broker_url, "broker_transport_options": options}
