{% include "brokers/" ~ cookiecutter.broker ~ "/test_broker.py" %}
