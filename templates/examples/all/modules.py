{% include "examples/starter/modules.py" %}
    f"{__package__}.tasks.archive",
{% if cookiecutter.__chords %}
    f"{__package__}.tasks.imports",
{% endif %}
{% if cookiecutter.__orders %}
    f"{__package__}.tasks.orders",
{% endif %}
{% if cookiecutter.__payments %}
    f"{__package__}.tasks.payments",
{% endif %}
    f"{__package__}.tasks.report_mails",
