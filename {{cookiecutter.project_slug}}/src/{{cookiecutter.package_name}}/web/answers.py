{% include "frameworks/" ~ cookiecutter.framework ~ "/answers.py" ignore missing %}
