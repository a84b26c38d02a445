import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0005_turns'),
    ]

    operations = [
        migrations.CreateModel(
            name='Departed',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('source', models.CharField(max_length=20)),
                ('at', models.DateTimeField(db_index=True)),
                ('columns', models.JSONField()),
            ],
        ),
        migrations.CreateModel(
            name='Seal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('until', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Total',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60)),
                ('labels', models.JSONField()),
                ('value', models.FloatField()),
                ('buckets', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), null=True, size=None)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('name', 'labels'), name='one_total_of_a_series')],
            },
        ),
    ]
