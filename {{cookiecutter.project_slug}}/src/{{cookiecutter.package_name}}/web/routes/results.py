{% include "frameworks/" ~ cookiecutter.framework ~ "/results.py" ignore missing %}
