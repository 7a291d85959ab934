    "maintenance.check_disk": (queues.QueueName.BULK, queues.Priority.LOW),
    "maintenance.purge_artifacts": (queues.QueueName.BULK, queues.Priority.LOW),
    "notifications.send_bulk": (queues.QueueName.BULK, queues.Priority.LOW),
    "notifications.send_mail": (queues.QueueName.IO, queues.Priority.NORMAL),
    "notifications.send_password_reset": (queues.QueueName.CRITICAL, queues.Priority.HIGH),
    "notifications.send_verification": (queues.QueueName.CRITICAL, queues.Priority.HIGH),
    "reports.totals": (queues.QueueName.CPU, queues.Priority.NORMAL),
    "webhooks.deliver": (queues.QueueName.IO, queues.Priority.NORMAL),
{% if cookiecutter.__django %}
    "mailings.send": (queues.QueueName.IO, queues.Priority.NORMAL),
{% endif %}
