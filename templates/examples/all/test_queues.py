{% include "examples/starter/test_queues.py" %}
    "archive.checksum": (queues.QueueName.BULK, queues.Priority.LOW),
    "archive.erase": (queues.QueueName.BULK, queues.Priority.LOW),
    "archive.verify": (queues.QueueName.BULK, queues.Priority.LOW),
    "archive.write_manifest": (queues.QueueName.BULK, queues.Priority.LOW),
{% if cookiecutter.__chords %}
    "imports.abandon": (queues.QueueName.CPU, queues.Priority.NORMAL),
    "imports.clean_up": (queues.QueueName.CPU, queues.Priority.NORMAL),
    "imports.download": (queues.QueueName.IO, queues.Priority.NORMAL),
    "imports.save": (queues.QueueName.CPU, queues.Priority.NORMAL),
    "imports.split": (queues.QueueName.CPU, queues.Priority.NORMAL),
    "imports.validate": (queues.QueueName.CPU, queues.Priority.NORMAL),
{% endif %}
{% if cookiecutter.__orders %}
    "orders.cancel": (queues.QueueName.IO, queues.Priority.NORMAL),
    "orders.charge": (queues.QueueName.IO, queues.Priority.NORMAL),
    "orders.reserve": (queues.QueueName.IO, queues.Priority.NORMAL),
    "orders.ship": (queues.QueueName.IO, queues.Priority.NORMAL),
{% endif %}
{% if cookiecutter.__payments %}
    "payments.charge": (queues.QueueName.DEFAULT, queues.Priority.NORMAL),
    "payments.export": (queues.QueueName.CPU, queues.Priority.NORMAL),
{% endif %}
{% if cookiecutter.__django %}
    "payments.report": (queues.QueueName.CPU, queues.Priority.NORMAL),
    "payments.settle": (queues.QueueName.DEFAULT, queues.Priority.NORMAL),
    "payments.settle_forgotten": (queues.QueueName.DEFAULT, queues.Priority.NORMAL),
{% endif %}
    "report_mails.send": (queues.QueueName.IO, queues.Priority.NORMAL),
    "report_mails.tell_failure": (queues.QueueName.IO, queues.Priority.NORMAL),
