import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Job",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(editable=False, max_length=100)),
                ("requested_at", models.DateTimeField(auto_now_add=True, db_index=True)),
                ("cancelled_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "ordering": ("-requested_at",),
            },
        ),
    ]
