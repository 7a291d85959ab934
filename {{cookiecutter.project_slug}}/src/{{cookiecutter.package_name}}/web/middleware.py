{% include "frameworks/fastapi/middleware.py" %}
