from django.db import migrations, models

FORBID = """
CREATE TRIGGER append_only_as_a_whole BEFORE TRUNCATE ON monitoring_auditevent
FOR EACH STATEMENT EXECUTE FUNCTION monitoring_append_only();
"""

ALLOW = "DROP TRIGGER append_only_as_a_whole ON monitoring_auditevent;"


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0007_departed")]

    operations = [
        migrations.RunSQL(FORBID, ALLOW),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(fields=["actor_name", "-id"], name="audit_of_actor"),
        ),
    ]
