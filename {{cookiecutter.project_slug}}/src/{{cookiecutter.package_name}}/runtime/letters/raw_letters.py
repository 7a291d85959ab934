{% include "brokers/" ~ cookiecutter.broker ~ "/raw_letters.py" %}
