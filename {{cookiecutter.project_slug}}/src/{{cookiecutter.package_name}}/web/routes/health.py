{% include "frameworks/" ~ cookiecutter.framework ~ "/health.py" ignore missing %}
