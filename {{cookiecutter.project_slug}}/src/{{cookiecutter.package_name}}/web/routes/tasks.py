{% include "frameworks/" ~ cookiecutter.framework ~ "/tasks.py" ignore missing %}
