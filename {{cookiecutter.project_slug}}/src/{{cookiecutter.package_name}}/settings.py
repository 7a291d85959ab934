{% include "examples/" ~ cookiecutter.examples ~ "/settings.py" %}
