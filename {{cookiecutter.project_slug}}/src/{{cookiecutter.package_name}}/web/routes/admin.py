{% include "frameworks/" ~ cookiecutter.framework ~ "/admin.py" ignore missing %}
