"""RabbitMQ as the broker: settings, queues and their declaration, and dead letters."""
