{% include "letters/" ~ ("redis" if cookiecutter.__store else "rabbitmq") ~ "/suspects.py" %}
