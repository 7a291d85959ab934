{% include "brokers/" ~ cookiecutter.broker ~ "/backlog.py" %}
