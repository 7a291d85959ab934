"""Jobs and dead letters in Django's admin.

Permissions of their own say who may cancel a job or run it again, and who may replay or discard a
dead letter.
"""

from django.contrib import admin

from ..models import DeadLetter, Job
from .dead_letters import DeadLetterAdmin
from .jobs import JobAdmin

admin.site.register(Job, JobAdmin)
admin.site.register(DeadLetter, DeadLetterAdmin)
