import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0004_see_metrics'),
    ]

    operations = [
        migrations.AddField(
            model_name='alert',
            name='calm_since',
            field=models.DateTimeField(null=True),
        ),
        migrations.CreateModel(
            name='Turn',
            fields=[
                ('name', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
    ]
