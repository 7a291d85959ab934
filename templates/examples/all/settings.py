{% if cookiecutter.__orders %}

    # The services that reserve, charge and ship an order.
    shop_url: str = "http://127.0.0.1:8000"
{% endif %}
{% if cookiecutter.__chords %}

    # Seconds without a byte, and size of a file to import.
    import_timeout: PositiveFloat = 30
    import_max_bytes: int = Field(default=100_000_000, gt=0)
{% endif %}
