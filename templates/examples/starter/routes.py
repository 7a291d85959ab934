    "notifications.send_password_reset": CRITICAL,
    "notifications.send_verification": CRITICAL,
    "notifications.send_bulk": to(QueueName.BULK, Priority.LOW),
    "notifications.*": to(QueueName.IO),
    "webhooks.*": to(QueueName.IO),
    "reports.*": to(QueueName.CPU),
    "maintenance.*": to(QueueName.BULK, Priority.LOW),
{% if cookiecutter.__django %}
    "mailings.*": to(QueueName.IO),
{% endif %}
