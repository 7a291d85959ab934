"""The HTTP API without a framework: its requests, answers and errors.

The packages `fastapi/`, `flask/` and `django/` beside this one mount it; it imports none of them.
"""
