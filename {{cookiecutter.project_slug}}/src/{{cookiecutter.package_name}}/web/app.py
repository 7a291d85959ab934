{% include "frameworks/" ~ cookiecutter.framework ~ "/app.py" ignore missing %}
