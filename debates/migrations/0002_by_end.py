from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("debates", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="debate",
            index=models.Index(fields=["-ended_at"], name="debate_by_end"),
        ),
    ]
