{% include "examples/starter/schedule.py" %}
{% if cookiecutter.__django %}
    "settle-forgotten": entry(
        "payments.settle_forgotten", schedule(timedelta(minutes=10)), timedelta(minutes=9)
    ),
{% endif %}
