{% extends "examples/starter/settings.py" %}
{% block more %}
{% if cookiecutter.__orders %}

    # The services that reserve, charge and ship an order.
    shop_url: str = Field(default="http://127.0.0.1:8000", pattern="^https?://[^/]")
{% endif %}
{% if cookiecutter.__chords %}

    # Seconds without a byte, and size of a file to import.
    import_timeout: Seconds = 30
    import_max_bytes: Count = 100_000_000
{% endif %}
{% endblock %}
