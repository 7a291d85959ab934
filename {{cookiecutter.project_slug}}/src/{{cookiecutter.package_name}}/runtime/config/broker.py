{% include "brokers/" ~ cookiecutter.broker ~ "/config.py" %}
