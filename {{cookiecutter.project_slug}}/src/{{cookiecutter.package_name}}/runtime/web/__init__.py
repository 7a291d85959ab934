"""The HTTP contract, whatever the framework: what is asked for, answered and refused.

`fastapi/`, `flask/` and `django/` beside this package mount it; none of it imports them.
"""
