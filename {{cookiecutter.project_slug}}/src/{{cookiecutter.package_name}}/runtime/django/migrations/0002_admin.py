from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="job",
            name="task",
            field=models.CharField(db_default="", default="", editable=False, max_length=255),
        ),
        migrations.AddField(
            model_name="job",
            name="arguments",
            field=models.TextField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="job",
            name="started_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AlterModelOptions(
            name="job",
            options={
                "ordering": ("-requested_at",),
                "permissions": (
                    ("cancel_job", "Can cancel job"),
                    ("run_again_job", "Can run job again"),
                ),
            },
        ),
        migrations.CreateModel(
            name="DeadLetter",
            fields=[
                ("id", models.CharField(max_length=255, primary_key=True, serialize=False)),
            ],
            options={
                "permissions": (
                    ("replay_deadletter", "Can replay dead letter"),
                    ("discard_deadletter", "Can discard dead letter"),
                ),
                "managed": False,
                "default_permissions": ("view",),
                "base_manager_name": "objects",
            },
        ),
    ]
