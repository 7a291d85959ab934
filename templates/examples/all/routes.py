{% include "examples/starter/routes.py" %}
    "report_mails.*": to(QueueName.IO),
{% if cookiecutter.__orders %}
    "orders.*": to(QueueName.IO),
{% endif %}
{% if cookiecutter.__payments %}
    "payments.export": to(QueueName.CPU),
{% endif %}
{% if cookiecutter.__django %}
    "payments.report": to(QueueName.CPU),
{% endif %}
    "archive.*": to(QueueName.BULK, Priority.LOW),
    # Batches: inside a chain or a group, Celery routes them by these names, not by their items'.
    "celery.map": to(QueueName.BULK, Priority.LOW),
    "celery.starmap": to(QueueName.BULK, Priority.LOW),
{% if cookiecutter.__chords %}
    "imports.download": to(QueueName.IO),
    "imports.*": to(QueueName.CPU),
{% endif %}
