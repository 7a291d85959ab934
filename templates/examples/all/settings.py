{% extends "examples/starter/settings.py" %}
{% block more %}
{% if cookiecutter.__orders %}

    # The services that reserve, charge and ship an order.
    shop_url: str = Field(default="http://127.0.0.1:8000", pattern="^https?://[^/]")
{% endif %}
{% if cookiecutter.__chords %}

    # For files to import: seconds to wait for the next byte, and the largest size in bytes.
    import_timeout: Seconds = 30
    import_max_bytes: Count = 100_000_000
{% endif %}
{% endblock %}
