{% include "letters/" ~ cookiecutter.__letters ~ "/store.py" %}
