"""What is special about RabbitMQ: the topology of its queues."""
